/**
 * Private servers for tests: real ones, on free ports of loopback, over folders that are thrown away. They can be
 * killed and started again on the same port, as servers are.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./at-exit.ts";
import { selfSigned } from "./certificate.ts";

export interface Service {
  readonly url: string;
  readonly port: number;
  /** Of what it keeps; thrown away at the end. */
  readonly folder: string;
  /** Of the process that was started; it may have started more. */
  readonly pid: number;
  /** Ends it at once (SIGKILL), as a crash does. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and over what it left. */
  start(): Promise<void>;
  /** Stops (SIGSTOP) or wakes it: connections stay open, nothing answers. */
  pause(): void;
  resume(): void;
  /** Ends it, and removes its folder. */
  close(): Promise<void>;
}

interface Kind {
  /** The program, where it is installed. */
  readonly program: () => string | undefined;
  readonly url: (port: number) => string;
  /** Prepares the folder; once. */
  readonly prepare?: (folder: string, program: string) => void;
  readonly run: (folder: string, port: number, program: string, options: ServiceOptions) => ChildProcess;
  /** Throws or rejects until it takes work. */
  readonly isReady: (port: number) => Promise<void>;
}

const KINDS: Readonly<Record<ServiceKind, Kind>> = {
  redis: {
    program: () => onPath("redis-server"),
    url: (port) => `redis://127.0.0.1:${port}`,
    run: (folder, port, program) =>
      launch(program, ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]),
    isReady: (port) => answers(port, "PING\r\n", "+PONG"),
  },
  nats: {
    program: () => onPath("nats-server"),
    url: (port) => `nats://127.0.0.1:${port}`,
    run: (_folder, port, program) =>
      launch(program, ["-a", "127.0.0.1", "-p", String(port), "-m", String(secondPort(port))]),
    isReady: (port) => answers(port, "", "INFO"),
  },
  postgres: {
    program: postgresProgram,
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    prepare(folder, program) {
      const owner = postgresOwner();
      const data = join(folder, "data");
      mkdirSync(data);
      if (owner) {
        chownSync(folder, owner.uid, owner.gid);
        chownSync(data, owner.uid, owner.gid);
      }
      chmodSync(folder, 0o755);
      const args = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"];
      execFileSync(join(program, "..", "initdb"), args, { ...owner, stdio: "ignore", cwd: folder });
    },
    run: (folder, port, program) =>
      launch(
        program,
        [
          ...["-D", join(folder, "data"), "-p", String(port), "-k", folder],
          ...["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"],
        ],
        { ...postgresOwner(), cwd: folder },
      ),
    isReady: (port) => postgresAnswers(port),
  },
  rabbitmq: {
    // Debian's own command would change to its user; the script behind it runs as whoever runs the tests.
    program: () => ["/usr/lib/rabbitmq/bin/rabbitmq-server"].find(existsSync) ?? onPath("rabbitmq-server"),
    url: (port) => `amqp://guest:guest@127.0.0.1:${port}`,
    run: (folder, port, program) =>
      launch(program, [], {
        cwd: folder,
        env: {
          PATH: process.env.PATH,
          HOME: folder,
          RABBITMQ_NODENAME: `tidings-${port}@localhost`,
          RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
          RABBITMQ_NODE_PORT: String(port),
          RABBITMQ_DIST_PORT: String(secondPort(port)),
          RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
          RABBITMQ_LOG_BASE: join(folder, "log"),
          RABBITMQ_PID_FILE: join(folder, "pid"),
          RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
          RABBITMQ_CONFIG_FILE: join(folder, "none"),
          RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        },
      }),
    isReady: (port) => answers(port, "AMQP\0\0\x09\x01", "\x01"),
  },
  // With examples/nginx/tidings.conf, before a server on its second port.
  nginx: {
    program: () => onPath("nginx"),
    url: (port) => `https://localhost:${port}`,
    prepare: (folder) => selfSigned(folder),
    run(folder, port, program) {
      writeFileSync(join(folder, "nginx.conf"), nginxConf(folder, port));
      return launch(program, [
        "-e",
        join(folder, "error.log"),
        "-p",
        folder,
        "-c",
        join(folder, "nginx.conf"),
      ]);
    },
    isReady: (port) => answers(port, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 400"),
  },
  // With examples/haproxy/tidings.cfg.
  haproxy: {
    program: () => onPath("haproxy"),
    url: (port) => `http://127.0.0.1:${port}`,
    run(folder, port, program, options) {
      writeFileSync(join(folder, "haproxy.cfg"), haproxyConf(port, options));
      return launch(program, ["-db", "-f", join(folder, "haproxy.cfg")]);
    },
    isReady: (port) => answers(port, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1."),
  },
};

export type BusKind = "redis" | "nats" | "postgres" | "rabbitmq";
export type ServiceKind = BusKind | "nginx" | "haproxy";

/** Whether the program is installed here. */
export function isInstalled(kind: ServiceKind): boolean {
  return KINDS[kind].program() !== undefined;
}

export interface ServiceOptions {
  /** The folder that its own is made in. */
  readonly parent?: string | undefined;
  /** Of HAProxy: the ports of the three servers behind it. */
  readonly behind?: readonly number[];
  /** Of HAProxy: how often it looks at them. Default: as in the example. */
  readonly checkMs?: number;
}

/** Starts a private server. Rejects when it is not installed, or does not take work within a minute. */
export async function startService(kind: ServiceKind, options: ServiceOptions = {}): Promise<Service> {
  const { program: find, url, prepare, run, isReady } = KINDS[kind];
  const program = find();
  if (program === undefined) throw new Error(`${kind} is not installed: see scripts/install-test-tools.ts`);
  const folder = mkdtempSync(join(options.parent ?? tmpdir(), `tidings-${kind}-`));
  const remove = atExit(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  let port = await freePort();
  prepare?.(folder, program);
  let child: ChildProcess;

  async function start(): Promise<void> {
    const started = run(folder, port, program!, options);
    child = started;
    const end = Date.now() + 60_000;
    for (;;) {
      if (hasEnded(started)) {
        throw new Error(
          `${kind} ended with ${started.signalCode ?? started.exitCode}: ${outputs.get(started)}`,
        );
      }
      try {
        return await isReady(port);
      } catch (error) {
        if (Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async function kill(): Promise<void> {
    if (hasEnded(child)) return;
    const ended = once(child, "exit");
    signalGroups(child, "SIGKILL");
    await ended;
  }

  // Between the look for a free port and the start another test may have taken it.
  for (let attempt = 1; ; attempt++) {
    try {
      await start();
      break;
    } catch (error) {
      if (child!.exitCode === null || attempt === 3) throw error;
      port = await freePort();
    }
  }
  return {
    url: url(port),
    port,
    folder,
    get pid() {
      return child.pid!;
    },
    kill,
    start,
    pause: () => signalGroups(child, "SIGSTOP"),
    resume: () => signalGroups(child, "SIGCONT"),
    async close() {
      await kill();
      remove();
    },
  };
}

// --- finding and running programs --------------------------------------------------------------------------

function onPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, name)).find(existsSync);
}

function postgresProgram(): string | undefined {
  const base = "/usr/lib/postgresql";
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  const installed = versions.map((version) => join(base, version, "bin", "postgres")).find(existsSync);
  return installed ?? onPath("postgres");
}

/** PostgreSQL refuses to run as root: Debian's package makes a user for it. */
function postgresOwner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** The configuration that users copy, with only its places changed, in what Debian's nginx.conf puts around it. */
function nginxConf(folder: string, port: number): string {
  const config = placed("nginx/tidings.conf", [
    ["127.0.0.1:8765", `127.0.0.1:${secondPort(port)}`],
    ["/var/cache/nginx/tidings", join(folder, "cache")],
    ["listen 80;", `listen unix:${join(folder, "plain.sock")};`],
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["server_name live.example;", "server_name localhost;"],
    ["server_name live.example;", "server_name localhost;"],
    ["/etc/ssl/tidings/fullchain.pem", join(folder, "certificate.pem")],
    ["/etc/ssl/tidings/privkey.pem", join(folder, "key.pem")],
  ]);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
    daemon off;
    ${process.getuid?.() === 0 ? "user root;" : ""}
    worker_processes 1;
    pid ${join(folder, "pid")};
    events { worker_connections 8192; }
    http {
      access_log ${join(folder, "access.log")};
      ${temporary.map((name) => `${name}_temp_path ${join(folder, name)};`).join("\n")}
      ${config}
    }`;
}

/** Likewise, and without its second tries to connect: a server that refuses is to be seen. */
function haproxyConf(port: number, { behind: [a, b, c] = [], checkMs = 1_000 }: ServiceOptions): string {
  return placed("haproxy/tidings.cfg", [
    ["maxconn 100000", "maxconn 4000"],
    ["mode http\n", "mode http\n  retries 0\n"],
    ["bind :80", `bind 127.0.0.1:${port}`],
    ["inter 1s", `inter ${checkMs}ms`],
    ["10.0.0.1:8765", `127.0.0.1:${a}`],
    ["10.0.0.2:8765", `127.0.0.1:${b}`],
    ["10.0.0.3:8765", `127.0.0.1:${c}`],
  ]);
}

/** A configuration of examples/ with other places in it. */
function placed(path: string, places: readonly (readonly [theirs: string, ours: string])[]): string {
  const example = readFileSync(new URL(`../../examples/${path}`, import.meta.url), "utf8");
  return places.reduce((text, [theirs, ours]) => {
    if (!text.includes(theirs)) throw new Error(`examples/${path}: there is no ${theirs}`);
    return text.replace(theirs, ours);
  }, example);
}

const outputs = new WeakMap<ChildProcess, string>();

function launch(program: string, args: readonly string[], options: object = {}): ChildProcess {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, ...options });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk) => outputs.set(child, `${outputs.get(child) ?? ""}${chunk}`.slice(-4_000)));
  }
  // The tests' own end, however it comes, is the server's too.
  const forget = atExit(() => signalGroups(child, "SIGKILL"));
  child.once("exit", forget);
  child.once("error", (error) => {
    outputs.set(child, String(error));
    forget();
  });
  return child;
}

/** Of itself, by a signal, or before it began. */
function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Of a server that needs two: how RabbitMQ talks to its command line, where NATS answers questions over HTTP,
 * where what nginx serves is to listen. */
export function secondPort(port: number): number {
  return port + 20_000 > 65_535 ? port - 20_000 : port + 20_000;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Where the system tells (Linux). */
function childrenOf(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`;
  return existsSync(list) ? readFileSync(list, "utf8").trim().split(" ").filter(Boolean).map(Number) : [];
}

/** To its group, for RabbitMQ's program is a shell that starts the server, and to PostgreSQL's, one each. */
function signalGroups(child: ChildProcess, name: NodeJS.Signals): void {
  if (hasEnded(child)) return;
  for (const group of [child.pid!, ...childrenOf(child.pid!)]) signalGroup(group, name);
}

function signalGroup(group: number, name: NodeJS.Signals): void {
  try {
    process.kill(-group, name);
  } catch {
    // It leads no group, or is gone already.
  }
}

// --- readiness ---------------------------------------------------------------------------------------------

/** Sends `question`, and resolves when what comes back begins with `answer`. */
function answers(port: number, question: string | Buffer, answer: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(question));
    const timer = setTimeout(() => socket.destroy(new Error(`no answer on port ${port}`)), 2_000);
    socket.once("data", (data) => {
      if (data.toString("latin1").startsWith(answer)) resolve();
      else reject(new Error(`an unexpected answer: ${data.toString("latin1").slice(0, 100)}`));
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      reject(new Error(`port ${port} closed`));
    });
  });
}

/** A start-up packet that is answered with authentication (R), not with an error (E: it is starting up). */
function postgresAnswers(port: number): Promise<void> {
  const fields = Buffer.from("user\0postgres\0database\0postgres\0\0");
  const packet = Buffer.alloc(8);
  packet.writeInt32BE(8 + fields.length, 0);
  packet.writeInt32BE(196_608, 4);
  return answers(port, Buffer.concat([packet, fields]), "R");
}
