/** A site as an operator would run it: three `tidings serve` on one Postgres, joined by a bus, behind a balancer. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { atExit, killAtExit } from "../../test/support/at-exit.ts";
import { type BusKind, freePort, type Service, startService } from "../../test/support/services.ts";
import { usageOf } from "../one-server.ts";
import { type Link, link } from "./network.ts";

const CLI = fileURLToPath(new URL("../../dist/app/cli.js", import.meta.url));
const CLOCK = new URL("clock.ts", import.meta.url).href;
const TOKEN = "a-token-for-the-faults";

export interface Server {
  readonly name: string;
  /** Where readers and the newsroom reach it: through `front`. */
  readonly host: string;
  readonly front: Link;
  readonly toStore: Link;
  readonly toBus: Link;
  /** The most memory that any process of it had, in bytes. */
  readonly peakMemory: number;
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code. */
  stop(): Promise<number | null>;
  /** Rejects once it is closed. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Makes its clock wrong by so many milliseconds. */
  skew(ms: number): void;
  /** Ends it for good: whoever starts it, or starts it still, is told that it is over. */
  close(): Promise<void>;
}

export interface Site {
  readonly bus: BusKind;
  readonly servers: readonly Server[];
  /** Before all servers: it takes a new connection to any that is there. */
  readonly balancer: Link;
  readonly store: Service;
  readonly busService: Service;
  /** Starts the store or the bus again, after it was killed. Rejects once the site has ended. */
  startAgain(service: Service): Promise<void>;
  /** Takes all room on the store's disk, and gives it back; absent where this machine lets nobody make a small disk. */
  readonly disk: { fill(): void; free(): Promise<void> } | undefined;
  readonly authorization: string;
  /** What its servers have said at level warn and above. */
  output(): string;
  end(): Promise<void>;
}

export async function startSite(bus: BusKind): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "tidings-faults-"));
  const remove = atExit(() => rmSync(folder, { recursive: true, force: true }));
  const disk = smallDisk(folder);
  const store = await startService("postgres", { parent: disk?.folder });
  const busService = await startService(bus);
  let said = "";
  const servers = await Promise.all(
    ["a", "b", "c"].map((name) =>
      startServer({
        name,
        folder,
        store,
        busService,
        hear: (text) => (said = (said + text).slice(-1_000_000)),
      }),
    ),
  );
  const balancer = await link(...servers.map(({ front }) => front.port));
  let hasEnded = false;
  async function startAgain(service: Service): Promise<void> {
    if (hasEnded) throw new Error("the site has ended");
    await service.start();
  }
  return {
    bus,
    servers,
    balancer,
    store,
    busService,
    startAgain,
    disk: disk && {
      fill: disk.fill,
      async free() {
        disk.free();
        if (!(await isAlive(store))) await store.kill().then(() => startAgain(store));
      },
    },
    authorization: `Bearer ${TOKEN}`,
    output: () => said,
    async end() {
      hasEnded = true;
      store.resume();
      busService.resume();
      await Promise.all(servers.map((server) => server.close()));
      const links = servers.flatMap(({ front, toStore, toBus }) => [front, toStore, toBus]);
      await Promise.all([...links, balancer].map((one) => one.close()));
      await Promise.all([store.close(), busService.close()]);
      disk?.close();
      remove();
    },
  };
}

/** PostgreSQL ends itself when it finds no room for its log. */
async function isAlive(store: Service): Promise<boolean> {
  try {
    process.kill(store.pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${store.pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

// --- one server --------------------------------------------------------------------------------------------

interface ServerOptions {
  readonly name: string;
  readonly folder: string;
  readonly store: Service;
  readonly busService: Service;
  readonly hear: (text: string) => void;
}

async function startServer({ name, folder, store, busService, hear }: ServerOptions): Promise<Server> {
  const port = await freePort();
  const [front, toStore, toBus] = await Promise.all([link(port), link(store.port), link(busService.port)]);
  const clock = join(folder, `clock-${name}`);
  writeFileSync(clock, "0");
  let child: ChildProcess;
  let peakMemory = 0;
  let isClosed = false;
  const through = (url: string, from: number, to: number) => url.replace(`:${from}`, `:${to}`);

  async function start(): Promise<void> {
    if (isClosed) throw new Error(`${name}: its site has ended`);
    const args = ["--import", CLOCK, CLI, "serve", "--host", "127.0.0.1", "--port", String(port)];
    const started = spawn(process.execPath, args, {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        FAULTS_CLOCK: clock,
        TIDINGS_TOKEN: TOKEN,
        TIDINGS_STORE: through(store.url, store.port, toStore.port),
        TIDINGS_BUS: through(busService.url, busService.port, toBus.port),
        TIDINGS_LOG_LEVEL: "warn",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    killAtExit(started);
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => hear(text.replace(/^/gm, `${name} `)));
    }
    for (;;) {
      // It gives up when it starts without its store: whoever runs servers starts them again.
      if (hasExited(started)) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return start();
      }
      if (
        await fetch(`http://127.0.0.1:${port}/healthz`).then(
          (answer) => answer.ok,
          () => false,
        )
      )
        return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (hasExited(child)) return child.exitCode;
    const exited = once(child, "exit") as Promise<[number | null]>;
    child.kill(signal);
    return (await exited)[0];
  }

  const measuring = setInterval(() => {
    if (!hasExited(child)) peakMemory = Math.max(peakMemory, usageOf(child.pid!).memory);
  }, 500);
  measuring.unref();
  await start();
  return {
    name,
    host: `127.0.0.1:${front.port}`,
    front,
    toStore,
    toBus,
    get peakMemory() {
      return peakMemory;
    },
    start,
    stop: () => end("SIGTERM"),
    async kill() {
      await end("SIGKILL");
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    skew(ms) {
      writeFileSync(clock, String(ms));
      child.kill("SIGUSR2");
    },
    async close() {
      isClosed = true;
      clearInterval(measuring);
      await end("SIGKILL");
    },
  };
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

// --- a disk that can be full -------------------------------------------------------------------------------

interface SmallDisk {
  readonly folder: string;
  fill(): void;
  free(): void;
  close(): void;
}

/** A file system of its own, in memory: only root may make one. */
function smallDisk(folder: string): SmallDisk | undefined {
  const place = mkdtempSync(join(folder, "disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256m", "tidings-faults", place], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  const unmount = atExit(() => void execFileSync("umount", ["-l", place]));
  // PostgreSQL's user goes through both.
  execFileSync("chmod", ["755", folder, place]);
  const filler = join(place, "filler");
  return {
    folder: place,
    fill() {
      const { bavail, bsize } = statfsSync(place);
      try {
        writeFileSync(filler, Buffer.alloc(bavail * bsize));
      } catch {
        // The server took some of it meanwhile: now it is full.
      }
    },
    free: () => truncateSync(filler),
    close: unmount,
  };
}
