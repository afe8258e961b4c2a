/**
 * All buses in one run: how many updates they bring each second, and how long one takes from `publish` to the hub's
 * listener, over two connections of this process to a real server. In turns (A B C, C B A, …), so that a noisy machine
 * is noisy for all; medians and ranges over the rounds.
 *
 * npm run bench:buses [-- --rounds 5 --json bench/buses.json]
 */
import { existsSync, writeFileSync } from "node:fs";
import { arch, cpus, loadavg } from "node:os";
import { performance } from "node:perf_hooks";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { endOnSignals } from "../faults/ending.ts";
import { readFlags, wholeNumber, writableFile } from "../faults/flags.ts";
import type { Bus } from "../src/buses/bus.ts";
import { memoryBus } from "../src/buses/memory.ts";
import { natsBus } from "../src/buses/nats.ts";
import { postgresBus } from "../src/buses/postgres.ts";
import { rabbitmqBus } from "../src/buses/rabbitmq.ts";
import { redisBus } from "../src/buses/redis.ts";
import type { Entry } from "../src/protocol.ts";
import { type BusKind, isInstalled, type Service, startService } from "../test/support/services.ts";
import { inTurn } from "./section.ts";
import { quantile, spread } from "./stats.ts";
import { cpuSeconds } from "./usage.ts";

endOnSignals();

const options = readFlags(
  { rounds: { type: "string", default: "5" }, json: { type: "string" } },
  "docs/buses.md",
);
const ROUNDS = wholeNumber("--rounds", options.rounds, { least: 1 });
writableFile("--json", options.json);
/** A post as reporters write them. */
const CONTENT = `<p>${"Goal! The whole ground is on its feet. ".repeat(12)}</p>`;
const CHANNELS = Array.from({ length: 10 }, (_, n) => `page ${n}`);
const SECONDS = 2;
/** So many are on their way at once: enough to keep every bus busy, too few for any to drop one. */
const WINDOW = 128;
/** Between two updates whose latency is measured: 100 a second, a very lively newsroom. */
const GAP_MS = 10;
const SAMPLES = 200;

interface Contestant {
  readonly name: string;
  readonly open: () => Bus;
  readonly service?: Service;
}

interface Result {
  readonly updatesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the server's processes, for each update; `null` where there is none, or no /proc to read it from. */
  readonly serverCpuUs: number | null;
}

const onError = (error: unknown) => {
  throw error;
};

const MAKERS: Readonly<Record<BusKind, (url: string) => Bus>> = {
  redis: (url) => redisBus({ url, onError }),
  nats: (url) => natsBus({ url, onError }),
  postgres: (url) => postgresBus({ url, onError }),
  rabbitmq: (url) => rabbitmqBus({ url, onError }),
};

const services: Service[] = [];
try {
  const contestants: Contestant[] = [{ name: "memory", open: () => memoryBus({ onError }) }];
  for (const kind of Object.keys(MAKERS) as BusKind[]) {
    if (!isInstalled(kind)) {
      console.error(`Left out: ${kind} is not installed.`);
      continue;
    }
    const service = await startService(kind);
    services.push(service);
    contestants.push({ name: kind, service, open: () => MAKERS[kind](service.url) });
  }
  const results = new Map(contestants.map(({ name }) => [name, [] as Result[]]));
  const load = [loadavg()[0]!];
  for (let round = 0; round <= ROUNDS; round++) {
    for (const contestant of inTurn(contestants, round)) {
      const result = await run(contestant);
      // The first round only warms up.
      if (round > 0) results.get(contestant.name)!.push(result);
    }
    load.push(loadavg()[0]!);
  }
  report(results, load);
} finally {
  for (const service of services) await service.close();
}

// --- one turn of one bus ------------------------------------------------------------------------------------

async function run({ open, service }: Contestant): Promise<Result> {
  const from = open();
  const to = service ? open() : from;
  let hear = (_: string) => {};
  for (const channel of CHANNELS) await to.subscribe(channel, ({ cursor }) => hear(cursor));
  // A publisher that is not connected yet would lose the first.
  await (await from.subscribe("warm-up", () => {}))();
  try {
    const latencies = await measureLatencies(from, (listener) => {
      hear = listener;
    });
    const before = cpuOf(service);
    const { updates, seconds } = await measureThroughput(from, (listener) => {
      hear = listener;
    });
    const after = cpuOf(service);
    return {
      updatesPerSecond: updates / seconds,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      serverCpuUs: before === null || after === null ? null : ((after - before) / updates) * 1e6,
    };
  } finally {
    await from.close();
    await to.close();
  }
}

type OnHear = (listener: (cursor: string) => void) => void;

async function measureLatencies(from: Bus, onHear: OnHear): Promise<number[]> {
  const latencies: number[] = [];
  for (let n = 1; n <= SAMPLES; n++) {
    await wait(GAP_MS);
    const heard = new Promise<void>((resolve) => onHear((cursor) => cursor === `latency.${n}` && resolve()));
    const start = performance.now();
    void from.publish(CHANNELS[n % CHANNELS.length]!, entry(`latency.${n}`));
    await heard;
    latencies.push(performance.now() - start);
  }
  return latencies;
}

async function measureThroughput(from: Bus, onHear: OnHear): Promise<{ updates: number; seconds: number }> {
  let sent = 0;
  let heard = 0;
  let wake = () => {};
  onHear(() => {
    heard++;
    wake();
  });
  const start = performance.now();
  const end = start + SECONDS * 1_000;
  while (performance.now() < end) {
    while (sent - heard < WINDOW && performance.now() < end) {
      void from.publish(CHANNELS[sent % CHANNELS.length]!, entry(`throughput.${++sent}`));
      // What is heard within `publish` (in memory) must not keep the clock from being looked at.
      if (sent % WINDOW === 0) await turn();
    }
    if (sent - heard < WINDOW) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  const lost = Date.now() + 10_000;
  while (heard < sent) {
    if (Date.now() > lost) throw new Error(`${sent - heard} of ${sent} updates never came`);
    await wait(1);
  }
  return { updates: heard, seconds: (performance.now() - start) / 1_000 };
}

function entry(cursor: string): Entry {
  return { renders: new Map([["post", { show: true, content: CONTENT, at: 1 }]]), removals: [], cursor };
}

// --- measuring and telling ----------------------------------------------------------------------------------

/** In seconds; `null` where there is no server, or no /proc to tell. */
function cpuOf(service: Service | undefined): number | null {
  return service && existsSync("/proc/self/stat") ? cpuSeconds(service.pid) : null;
}

function report(results: ReadonlyMap<string, readonly Result[]>, load: readonly number[]): void {
  const rows = [...results].map(([bus, rounds]) => {
    const of = (key: keyof Result, digits: number) => {
      const values = rounds.map((result) => result[key]).filter((value) => value !== null);
      return spread(values, digits);
    };
    return `| ${bus} | ${of("updatesPerSecond", 0)} | ${of("p50Ms", 2)} | ${of("p99Ms", 2)} | ${of("serverCpuUs", 0)} |`;
  });
  const cpu = `${cpus().length} × ${cpus()[0]?.model.trim() || arch()}`;
  console.log(`${ROUNDS} rounds in turns; median (least–most). Node ${process.versions.node}, ${cpu};`);
  console.log(
    `load average ${Math.min(...load).toFixed(1)}–${Math.max(...load).toFixed(1)}, this run included.\n`,
  );
  console.log("| bus | updates a second | p50, ms | p99, ms | server CPU an update, µs |");
  console.log("| --- | --- | --- | --- | --- |");
  for (const row of rows) console.log(row);
  if (options.json) {
    const data = { node: process.versions.node, cpu, load, results: Object.fromEntries(results) };
    writeFileSync(options.json, `${JSON.stringify(data, null, 2)}\n`);
  }
}
