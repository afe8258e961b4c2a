/** A server with good readers, what strangers do to it, and what that may cost. */
import { setTimeout as wait } from "node:timers/promises";
import { type OneServer, startOneServer } from "../one-server.ts";
import { type Spread, spread } from "../spread.ts";
import { type Attack, CHANNEL, MEMORY_MB } from "./attack.ts";
import { type GoodReaders, startGoodReaders } from "./good-readers.ts";
import type { Ending } from "./stranger.ts";

export interface Row {
  readonly name: string;
  /** How strangers ended, and how many so. */
  readonly endings: ReadonlyMap<Ending, number>;
  /** Bytes: before, at most meanwhile, and at most allowed. */
  readonly memory: { readonly before: number; readonly peak: number; readonly bound: number };
  /** Milliseconds from the request that posted an update until good readers had it. */
  readonly latency: { readonly before: Spread; readonly during: Spread };
  readonly seconds: number;
  /** What was not as it is promised, in words. */
  readonly wrong: readonly string[];
}

export interface SiegeOptions {
  readonly scale: number;
  readonly maxConnectionsPerAddress: number;
  /** How long good readers are looked at before, and at least meanwhile. */
  readonly quietMs: number;
  /** How late the latest hundredth of updates may come. */
  readonly latencyMs: number;
}

export interface Siege {
  suffer(attack: Attack): Promise<Row>;
  end(): Promise<void>;
}

const LOOKED_AT_MS = 50;
const MB = 2 ** 20;
const BIG_TIMES = 5;

export async function startSiege(options: SiegeOptions): Promise<Siege> {
  const server = await startOneServer({
    TIDINGS_MAX_CONNECTIONS_PER_ADDRESS: String(options.maxConnectionsPerAddress),
  });
  try {
    await server.api("POST", "/api/pages", { channelId: CHANNEL, title: "The finals" });
    const { host, authorization } = server;
    const readers = await startGoodReaders({ host, channel: CHANNEL, authorization });
    return {
      suffer: (attack) => suffer(server, readers, attack, options),
      async end() {
        readers.end();
        await server.end();
      },
    };
  } catch (error) {
    await server.end();
    throw error;
  }
}

async function suffer(
  server: OneServer,
  readers: GoodReaders,
  attack: Attack,
  { scale, quietMs, latencyMs, maxConnectionsPerAddress }: SiegeOptions,
): Promise<Row> {
  await readers.latencies();
  await wait(quietMs);
  const calm = spread(await readers.latencies());
  const before = server.usage().memory;
  let peak = before;
  const watching = setInterval(() => {
    peak = Math.max(peak, server.usage().memory);
  }, LOOKED_AT_MS);
  const began = performance.now();
  const all = await attack
    .run(server, scale, maxConnectionsPerAddress)
    .finally(() => clearInterval(watching));
  const seconds = (performance.now() - began) / 1_000;
  // So that there are updates to look at, also after what was over at once.
  await wait(Math.max(0, quietMs - 1_000 * seconds));
  const latencies = await readers.latencies();
  const during = spread(latencies);
  const endings = new Map<Ending, number>();
  for (const ending of all) endings.set(ending, (endings.get(ending) ?? 0) + 1);
  const bound = before + (attack.memoryMb ?? MEMORY_MB) * MB + all.length * (attack.memoryKb ?? 0) * 1_024;
  const wrong = [...endings]
    .filter(([ending]) => !attack.ends.includes(ending))
    .map(([ending, n]) => `${n} ended with ${ending}`);
  if (peak > bound) wrong.push(`${Math.round(peak / MB)} MB of memory, for ${Math.round(bound / MB)}`);
  if (latencies.length === 0 && quietMs > 0) wrong.push("no update came");
  const latest = attack.isBig ? BIG_TIMES * latencyMs : latencyMs;
  if (during.p99 > latest) wrong.push(`updates took ${during.p99} ms, for ${latest}`);
  return {
    name: attack.name,
    endings,
    memory: { before, peak, bound },
    latency: { before: calm, during },
    seconds,
    wrong,
  };
}
