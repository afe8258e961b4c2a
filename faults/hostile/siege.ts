/** A server with good readers, and what strangers do to it. */
import { setTimeout as wait } from "node:timers/promises";
import { WebSocket } from "ws";
import { type OneServer, startOneServer } from "../one-server.ts";
import { type Spread, spread } from "../spread.ts";
import type { Attack } from "./attacks.ts";
import type { Ending } from "./stranger.ts";

export interface Siege {
  readonly server: OneServer;
  /** Of what good readers got since it was last asked: milliseconds from the request that posted it. */
  latency(): Spread;
  /** The most memory that the server had since it was last asked, in bytes. */
  peakMemory(): number;
  end(): Promise<void>;
}

export interface Row {
  readonly name: string;
  /** How strangers ended, and how many so. */
  readonly endings: ReadonlyMap<Ending, number>;
  /** Those that were not as PROTOCOL.md has it. */
  readonly wrong: number;
  readonly memory: { readonly before: number; readonly peak: number };
  readonly latency: { readonly before: Spread; readonly during: Spread };
  readonly seconds: number;
}

export const CHANNEL = "the-finals";
const GOOD_READERS = 20;
const POSTS_PER_SECOND = 10;

export async function startSiege(maxConnectionsPerAddress: number): Promise<Siege> {
  const server = await startOneServer({
    TIDINGS_MAX_CONNECTIONS_PER_ADDRESS: String(maxConnectionsPerAddress),
  });
  await server.api("POST", "/api/pages", { channelId: CHANNEL, title: "The finals" });
  let latencies: number[] = [];
  let peak = 0;
  let hasEnded = false;
  const sockets = await Promise.all(
    Array.from({ length: GOOD_READERS }, () => {
      const socket = new WebSocket(`ws://${server.host}/ws/channel/${CHANNEL}/?cursor=`);
      socket.on("message", (data) => {
        const now = Date.now();
        for (const [, sent] of String(data).matchAll(/⟦(\d+)⟧/g)) latencies.push(now - Number(sent));
      });
      return new Promise<WebSocket>((resolve, reject) =>
        socket.once("open", () => resolve(socket)).once("error", reject),
      );
    }),
  );
  let lost = 0;
  for (const socket of sockets) socket.on("close", () => lost++);
  const watching = setInterval(() => {
    peak = Math.max(peak, server.usage().memory);
  }, 50);
  const posting = (async () => {
    while (!hasEnded) {
      const due = performance.now() + 1_000 / POSTS_PER_SECOND;
      const content = [{ type: "text", value: `⟦${Date.now()}⟧ ${"goal ".repeat(40)}` }];
      const answer = await server.api("POST", `/api/pages/${CHANNEL}/posts`, { content });
      if (answer.status !== 201) throw new Error(`a post was answered ${answer.status}`);
      await answer.arrayBuffer();
      await wait(Math.max(0, due - performance.now()));
    }
  })();
  posting.catch(() => {});
  return {
    server,
    latency() {
      const now = spread(latencies);
      latencies = [];
      return now;
    },
    peakMemory() {
      const now = Math.max(peak, server.usage().memory);
      peak = 0;
      return now;
    },
    async end() {
      hasEnded = true;
      clearInterval(watching);
      await posting;
      if (lost > 0) throw new Error(`${lost} good readers lost their connection`);
      for (const socket of sockets) socket.terminate();
      await server.end();
    },
  };
}

/** @param quietMs how long it is looked at before */
export async function suffer(siege: Siege, attack: Attack, scale: number, quietMs: number): Promise<Row> {
  siege.latency();
  siege.peakMemory();
  await wait(quietMs);
  const before = { latency: siege.latency(), memory: siege.peakMemory() };
  const began = performance.now();
  const endings = new Map<Ending, number>();
  for (const ending of await attack.run(siege.server, scale))
    endings.set(ending, (endings.get(ending) ?? 0) + 1);
  const wrong = [...endings].reduce((sum, [ending, n]) => sum + (attack.ends.includes(ending) ? 0 : n), 0);
  return {
    name: attack.name,
    endings,
    wrong,
    memory: { before: before.memory, peak: siege.peakMemory() },
    latency: { before: before.latency, during: siege.latency() },
    seconds: (performance.now() - began) / 1_000,
  };
}
