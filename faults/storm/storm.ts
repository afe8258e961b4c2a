/** All readers of a server lose it at once, while the newsroom goes on. */
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { type OneServer, startOneServer } from "../one-server.ts";
import type { Standing } from "../processes/judge.ts";
import { storedPage } from "../processes/newsroom.ts";
import { type Spread, spread } from "../spread.ts";
import { gatherCrowd } from "./crowd.ts";
import { judgeReturns, type Returns } from "./returns.ts";

/** How the server goes. */
export const ENDINGS = ["SIGTERM", "SIGKILL"] as const;
export type Ending = (typeof ENDINGS)[number];

export interface StormOptions {
  readonly ending: Ending;
  readonly readers: number;
  readonly postsPerSecond: number;
  /** Processes that the readers are in. */
  readonly processes: number;
}

export interface StormOutcome {
  readonly ending: Ending;
  readonly readers: number;
  readonly posts: number;
  /** Milliseconds that nobody listened. */
  readonly awayMs: number;
  /** Milliseconds from the loss of its connection until a reader had all that was acknowledged by then. */
  readonly backMs: Spread;
  /** Milliseconds from the first loss of a connection until the last reader was back. */
  readonly allBackMs: number;
  /** First attempts in a second, of readers that were asked back; `undefined` when nobody was, for the server was killed. */
  readonly returns: Returns | undefined;
  /** Attempts to connect that a reader made. */
  readonly attempts: Spread;
  /** Of the server that they came back to, from its start until all were back. */
  readonly cpuSeconds: number;
  readonly peakMemory: number;
  readonly catchUps: number;
  /** Different cursors that readers came back with. */
  readonly cursors: number;
  /** Places that the page was at while they came: each is another answer to the same cursor. */
  readonly heads: number;
  readonly resets: number;
  /** What should never be: pages that differ from the store's in the end, older after newer on the way, readers that are asked back all at once. */
  readonly breaches: readonly string[];
}

const CHANNEL = "the-finals";
const EQUAL_WITHIN_MS = 60_000;

export async function runStorm(options: StormOptions): Promise<StormOutcome> {
  const { ending, readers, postsPerSecond, processes } = options;
  const server = await startOneServer();
  try {
    await server.api("POST", "/api/pages", { channelId: CHANNEL, title: "The finals" });
    const { cursor } = (await (await server.api("GET", `/api/channels/${CHANNEL}`)).json()) as {
      cursor: string;
    };
    const url = `ws://${server.host}/ws/channel/${CHANNEL}/`;
    const crowd = await gatherCrowd({ url, cursor, readers, processes });
    try {
      const reporter = startReporter(server, postsPerSecond, crowd.acknowledge);
      await wait(2_000);
      await crowd.storm();
      await server.stop(ending);
      const ended = Date.now();
      await server.start();
      const awayMs = Date.now() - ended;
      const before = reporter.posts();
      const isBack = await Promise.race([
        crowd.back().then(() => true),
        wait(300_000, false, { ref: false }),
      ]);
      const { cpuSeconds, peakMemory } = server.usage();
      const heads = reporter.posts() - before;
      const catchUps = await server.metric("tidings_catch_ups_total");
      await reporter.end();
      const breaches = isBack ? [] : ["not all came back within 5 minutes"];
      const last = await untilEqual(server, crowd.report);
      const returns = ending === "SIGTERM" ? judgeReturns(last.readers.map(({ dueAt }) => dueAt)) : undefined;
      breaches.push(...last.breaches, ...last.different, ...(returns?.breaches ?? []));
      const back = last.readers.filter(({ backAt }) => backAt > 0);
      return {
        ending,
        readers,
        posts: reporter.posts(),
        awayMs,
        backMs: spread(back.map(({ lostAt, backAt }) => backAt - lostAt)),
        allBackMs:
          Math.max(...back.map(({ backAt }) => backAt)) - Math.min(...back.map(({ lostAt }) => lostAt)),
        returns,
        attempts: spread(last.readers.map(({ attempts }) => attempts)),
        cpuSeconds,
        peakMemory,
        catchUps,
        cursors: last.joinedWith.length,
        heads,
        resets: last.resets,
        breaches,
      };
    } finally {
      crowd.end();
    }
  } finally {
    await server.end();
  }
}

/** Asks until every reader's page is the store's, or too long. */
async function untilEqual(server: OneServer, report: Awaited<ReturnType<typeof gatherCrowd>>["report"]) {
  const store = await storedPage(server.host, CHANNEL, server.authorization);
  const until = Date.now() + EQUAL_WITHIN_MS;
  for (;;) {
    const now = await report();
    const wrong = now.pages.filter(({ shown }) => JSON.stringify(shown) !== JSON.stringify(store));
    if (wrong.length === 0) return { ...now, different: [] };
    if (Date.now() > until) {
      const different = wrong.map(
        ({ count, shown }) => `${count} readers differ: ${difference(shown, store)}`,
      );
      return { ...now, different };
    }
    await wait(100);
  }
}

function difference(shown: readonly Standing[], store: readonly Standing[]): string {
  const n = store.findIndex((post, i) => String(post) !== String(shown[i]));
  return `${shown.length} posts, the store has ${store.length}; at ${n}: ${shown[n]} for ${store[n]}`;
}

interface Reporter {
  posts(): number;
  end(): Promise<void>;
}

/** Writes and edits, one change after the other, each until it is answered: so whoever has one has all before it. */
function startReporter(
  server: OneServer,
  postsPerSecond: number,
  acknowledge: (mark: number) => void,
): Reporter {
  const list = `http://${server.host}/api/pages/${CHANNEL}/posts`;
  const ids: string[] = [];
  let posts = 0;
  let hasEnded = false;

  async function send(method: string, url: string, body: object): Promise<{ id: string }> {
    const headers = {
      authorization: server.authorization,
      "content-type": "application/json",
      ...(method === "POST" && { "idempotency-key": randomUUID() }),
    };
    for (;;) {
      try {
        const signal = AbortSignal.timeout(4_000);
        const answer = await fetch(url, { method, headers, body: JSON.stringify(body), signal });
        if (answer.ok) return (await answer.json()) as { id: string };
        if (answer.status !== 503) throw new Error(`${method} ${url} was answered ${answer.status}`);
      } catch (error) {
        // Nobody listens now.
        if (!(error instanceof TypeError || (error as Error).name === "TimeoutError")) throw error;
      }
      await wait(50);
    }
  }

  async function run(): Promise<void> {
    for (let mark = 0; !hasEnded; mark++) {
      const due = performance.now() + 1_000 / postsPerSecond;
      const content = [{ type: "text", value: `⟦${mark}⟧ ${"goal ".repeat(40)}` }];
      // Every third is an edit, of one of the newest.
      if (mark % 3 === 2) await send("PATCH", `${list}/${ids.at(-(1 + (mark % 5))) ?? ids[0]}`, { content });
      else ids.push((await send("POST", list, { content })).id);
      acknowledge(mark);
      posts++;
      await wait(Math.max(0, due - performance.now()));
    }
  }

  const running = run();
  running.catch(() => {});
  return {
    posts: () => posts,
    async end() {
      hasEnded = true;
      await running;
    },
  };
}
