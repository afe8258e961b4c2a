/**
 * A rolling deploy: each of three servers behind a balancer is ended (SIGTERM) and started again, one after the other, while
 * the newsroom writes and readers read through the balancer.
 */
import { setTimeout as wait } from "node:timers/promises";
import { type Service, startService } from "../../test/support/services.ts";
import { type OneServer, startOneServer } from "../one-server.ts";
import { untilEqual } from "../processes/equality.ts";
import { judge, staleness } from "../processes/judge.ts";
import { startNewsroom, storedPage } from "../processes/newsroom.ts";
import { startReader, TRANSPORTS } from "../processes/reader.ts";
import { random } from "../random.ts";
import { type Spread, spread } from "../spread.ts";

export interface DeployOptions {
  /** `TIDINGS_DRAIN_SECONDS` of the servers. */
  readonly drainSeconds: number;
  /** How often the balancer looks at `/readyz`; two looks make up its mind. */
  readonly checkMs: number;
  readonly readers: number;
  /** Who write about four changes a second each, over connections that are kept. */
  readonly reporters: number;
  /** A reader may lack an acknowledged change for the longest window it was told to come back in, and so long for all else. */
  readonly allowanceMs: number;
  readonly seed: number;
}

export interface DeployOutcome {
  readonly drainSeconds: number;
  readonly readers: number;
  readonly seconds: number;
  readonly changes: number;
  /** Requests of the newsroom that were answered with 5xx, and that broke or were not answered. */
  readonly refused: number;
  readonly unanswered: number;
  /** Readers that did not have the store's page in the end. */
  readonly lost: number;
  /** Connections and requests of readers that were refused, or ended without a time to come back. */
  readonly broken: readonly string[];
  /** For each reader. */
  readonly reconnects: Spread;
  /** The longest window that any reader was told, in milliseconds. */
  readonly windowMs: number;
  /** For each reader the longest time that it lacked a change that was acknowledged, in milliseconds. */
  readonly staleMs: Spread;
  /** Milliseconds from SIGTERM until the process had ended, and from its start until it was ready. */
  readonly servers: readonly {
    readonly endMs: number;
    readonly startMs: number;
    readonly code: number | null;
  }[];
  /** What should never be. */
  readonly breaches: readonly string[];
}

const CHANNEL = "the-finals";
const PAUSE_MS = 230;
/** Late is late, not lost: what is to be seen is what a server refuses. */
const REPORTERS_WAIT_MS = 20_000;
const EQUAL_WITHIN_MS = 60_000;

export async function runDeploy(options: DeployOptions): Promise<DeployOutcome> {
  const { allowanceMs, reporters, seed } = options;
  const opened: (() => unknown)[] = [];
  try {
    const { servers, balancer } = await startSite(options, opened);
    const { authorization } = servers[0]!;
    await servers[0]!.api("POST", "/api/pages", { channelId: CHANNEL, title: "The finals" });
    const hosts = [`127.0.0.1:${balancer.port}`];
    const newsroom = startNewsroom({
      channel: CHANNEL,
      hosts,
      authorization,
      random: random(seed),
      reporters,
      pauseMs: PAUSE_MS,
      patienceMs: REPORTERS_WAIT_MS,
    });
    opened.push(newsroom.abandon);
    const readers = await Promise.all(
      Array.from({ length: options.readers }, (_, n) => {
        const transport = TRANSPORTS[n % 5 < 3 ? 0 : n % 5 === 3 ? 1 : 2]!;
        return startReader({ name: `reader ${n} (${transport})`, channel: CHANNEL, transport, hosts });
      }),
    );
    opened.push(...readers.map((reader) => reader.end));
    await wait(1_000);

    const began = Date.now();
    const rolled: DeployOutcome["servers"][number][] = [];
    for (const server of servers) rolled.push(await restart(server));
    await wait(1_000);
    await newsroom.end();
    const seconds = (Date.now() - began) / 1000;

    const store = await storedPage(hosts[0]!, CHANNEL, authorization);
    const traces = await untilEqual(
      async () => readers.map((reader) => reader.trace()),
      store,
      EQUAL_WITHIN_MS,
    );
    for (const reader of readers) reader.end();
    const hides = !(await isRefusalSeen(servers[0]!, hosts[0]!));
    const { ledger, changes, refused, unanswered, wrong } = newsroom;
    const stale = staleness(ledger, traces);
    const verdict = judge({ ledger, store, traces });
    const late = readers.flatMap(({ name, windows }, n) => {
      const allowed = Math.max(0, ...windows.map(([, max]) => max)) + allowanceMs;
      return stale[n]! > allowed ? [`${name} lacked something for ${stale[n]} ms, not for ${allowed}`] : [];
    });
    const broken = readers.flatMap((reader) => reader.broken);
    return {
      drainSeconds: options.drainSeconds,
      readers: readers.length,
      seconds,
      changes,
      refused,
      unanswered,
      lost: traces.filter(({ final }) => JSON.stringify(final) !== JSON.stringify(store)).length,
      broken,
      reconnects: spread(readers.map(({ attempts }) => attempts - 1)),
      windowMs: Math.max(0, ...readers.flatMap(({ windows }) => windows.map(([, max]) => max))),
      staleMs: spread(stale),
      servers: rolled,
      breaches: [
        ...(refused + unanswered > 0 ? [`${refused} requests refused, ${unanswered} not answered`] : []),
        ...wrong,
        ...Object.entries(verdict).flatMap(([what, found]) => found.map((one: string) => `${what}: ${one}`)),
        ...late,
        ...broken,
        ...(hides ? ["a server that ended without draining was not noticed: this run shows nothing"] : []),
        ...rolled.filter(({ code }) => code !== 0).map(({ code }) => `a server ended with ${code}`),
      ],
    };
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

/** As what deploys does it: it goes on when the new one says that it is ready. */
async function restart(server: OneServer): Promise<DeployOutcome["servers"][number]> {
  const told = Date.now();
  const code = await server.stop("SIGTERM");
  const ended = Date.now();
  await server.start();
  while (!(await fetch(`http://${server.host}/readyz`)).ok) await wait(100);
  return { code, endMs: ended - told, startMs: Date.now() - ended };
}

/** The test of the test: that the balancer hides no refusal. SIGINT does not drain. */
async function isRefusalSeen(server: OneServer, host: string): Promise<boolean> {
  const ended = server.stop("SIGINT");
  const until = Date.now() + 10_000;
  let isSeen = false;
  while (!isSeen && Date.now() < until) {
    // HAProxy says 503, or hangs up when a connection that it kept to the server broke.
    isSeen = await fetch(`http://${host}/healthz`).then(
      async (answer) => {
        await answer.text();
        return answer.status === 503;
      },
      () => true,
    );
  }
  await ended;
  return isSeen;
}

async function startSite(
  { drainSeconds, checkMs }: DeployOptions,
  opened: (() => unknown)[],
): Promise<{ servers: readonly OneServer[]; balancer: Service }> {
  const [store, bus] = await Promise.all([startService("postgres"), startService("redis")]);
  opened.push(store.close, bus.close);
  const servers = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const server = await startOneServer({
        TIDINGS_STORE: store.url,
        TIDINGS_BUS: bus.url,
        TIDINGS_TRUST_PROXY: "127.0.0.1",
        TIDINGS_DRAIN_SECONDS: String(drainSeconds),
      });
      opened.push(server.end);
      return server;
    }),
  );
  const balancer = await startService("haproxy", { behind: servers.map(({ port }) => port), checkMs });
  opened.push(balancer.close);
  return { servers, balancer };
}
