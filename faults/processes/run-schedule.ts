/** One seeded schedule from its beginning to its verdict. */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import type { Browser } from "playwright-core";
import type { BusKind } from "../../test/support/services.ts";
import { random } from "../random.ts";
import { type BrowserReader, openBrowserReader } from "./browser.ts";
import { untilEqual } from "./equality.ts";
import { FAULTS, type World } from "./faults.ts";
import { judge, type Standing, timesToEquality, type Verdict } from "./judge.ts";
import { startNewsroom, storedPage } from "./newsroom.ts";
import { startNoise } from "./noise.ts";
import { type Reader, startReader, TRANSPORTS } from "./reader.ts";
import { type PlannedFault, plan } from "./schedule.ts";
import { type Site, startSite } from "./site.ts";

export interface ScheduleOptions {
  readonly bus: BusKind;
  readonly seed: number;
  readonly faults: number;
  /** Names of faults; none: all. */
  readonly only: readonly string[];
  readonly readers: number;
  readonly tabs: number;
  readonly browser: Browser | undefined;
  readonly tell: (line: string) => void;
  /** A file for all that was seen, when something was found. */
  readonly evidence?: string | undefined;
}

export interface Happened {
  readonly name: string;
  /** Milliseconds since the schedule began. */
  readonly began: number;
  readonly healed: number;
  /** Milliseconds after it was healed until each reader had all that was acknowledged by then; `null`: never. */
  readonly toEquality: readonly (number | null)[];
}

export interface Outcome {
  readonly bus: BusKind;
  readonly seed: number;
  readonly seconds: number;
  /** The system's load average over the last minute, at the end; absent in reports from before it was kept. */
  readonly load?: number;
  readonly changes: number;
  readonly repeatedRequests: number;
  readonly readers: number;
  readonly tabs: number;
  readonly reconnects: number;
  /** Times that a reader's cursor did not hold. */
  readonly resets: number;
  /** The same, of pages in Chromium; absent in reports from before they were counted. */
  readonly pageResets?: number;
  readonly faults: readonly Happened[];
  readonly verdict: Verdict & { readonly wrongAnswers: readonly string[] };
  /** Bytes, by process. */
  readonly peakMemory: Readonly<Record<string, number>>;
  /** What this machine could not do, and why. */
  readonly leftOut: readonly string[];
}

/** What runs beside the schedule, and must not outlive it. */
type Opened = { end(): unknown }[];

/** After the last change, readers have so long to be equal. Half open connections are noticed after a minute. */
const PATIENCE_MS = 120_000;
const CHANNEL = "the-finals";

export async function runSchedule(options: ScheduleOptions): Promise<Outcome> {
  const { bus, seed, only, readers: count, tabs, browser, tell } = options;
  const site = await startSite(bus);
  const hosts = site.servers.map(({ host }) => host);
  const opened: Opened = [site];
  try {
    const { authorization } = site;
    const made = await fetch(`http://${hosts[0]}/api/pages`, {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: JSON.stringify({ channelId: CHANNEL, title: "The finals" }),
    });
    if (made.status !== 201) throw new Error(`the page could not be made: ${await made.text()}`);
    const newsroom = startNewsroom({
      channel: CHANNEL,
      hosts,
      authorization,
      random: random(seed + 1),
      reporters: 5,
      pauseMs: 400,
    });
    opened.push({ end: newsroom.abandon });
    const noise = startNoise(site, CHANNEL, random(seed + 2));
    opened.push({ end: noise.close });
    const readers = await openReaders(hosts, count, opened);
    const pageUrl = `http://127.0.0.1:${site.balancer.port}/live/${CHANNEL}/`;
    const pages: BrowserReader[] = [];
    for (let n = 0; n < tabs; n++) {
      const page = await openBrowserReader(browser!, `Chromium ${n}`, pageUrl);
      opened.push(page);
      pages.push(page);
    }
    await wait(1_500);

    const start = Date.now();
    const isPossible = (name: string) =>
      (only.length === 0 || only.includes(name)) && (name !== "store's disk full" || site.disk !== undefined);
    const planned = plan(random(seed), options.faults, site.servers.length, isPossible);
    const happened = await runFaults({ site, readers, noise, random: random(seed + 3) }, planned, tell);
    await wait(1_000);
    await newsroom.end();
    const traces = () => Promise.all([...readers, ...pages].map((reader) => reader.trace()));
    const store = await storeWhenBack(site, hosts, authorization);
    const seen = await untilEqual(traces, store, PATIENCE_MS);
    const verdict = judge({ ledger: newsroom.ledger, store, traces: seen });
    const faults = happened.map(({ name, began, healed }) => ({
      name,
      began: began - start,
      healed: healed - start,
      toEquality: timesToEquality(newsroom.ledger, seen, healed).map((ms) =>
        Number.isFinite(ms) ? ms : null,
      ),
    }));
    // Who was never equal and found by nobody: then the judge, or what takes the times, is wrong.
    const isWrong =
      Object.values(verdict).some((found) => found.length > 0) ||
      faults.some(({ toEquality }) => toEquality.includes(null));
    if (options.evidence && isWrong) {
      try {
        writeFileSync(
          options.evidence,
          JSON.stringify({ ledger: [...newsroom.ledger], store, traces: seen }),
        );
      } catch (error) {
        // The verdict matters more.
        options.tell(`${options.evidence} could not be written: ${error}`);
      }
    }
    return {
      bus,
      seed,
      seconds: Math.round((Date.now() - start) / 1000),
      load: loadavg()[0]!,
      changes: newsroom.changes,
      repeatedRequests: newsroom.refused + newsroom.unanswered,
      readers: count,
      tabs,
      reconnects: readers.reduce((sum, { attempts }) => sum + attempts - 1, 0),
      resets: readers.reduce((sum, { resets }) => sum + resets, 0),
      pageResets: pages.reduce((sum, { resets }) => sum + resets, 0),
      faults,
      verdict: { ...verdict, wrongAnswers: newsroom.wrong },
      peakMemory: Object.fromEntries(
        site.servers.map(({ name, peakMemory }) => [`tidings ${name}`, peakMemory]),
      ),
      leftOut: site.disk ? [] : ["store's disk full: only root can mount a small disk"],
    };
  } finally {
    await endAll(opened);
    if (process.env.FAULTS_OUTPUT) tell(site.output());
  }
}

/** Each is to be ended in the end, also one that is not there yet when another fails. */
export function openReaders(hosts: readonly string[], count: number, opened: Opened): Promise<Reader[]> {
  return Promise.all(
    Array.from({ length: count }, (_, n) => {
      const transport = TRANSPORTS[n % 5 < 3 ? 0 : n % 5 === 3 ? 1 : 2]!;
      const reader = startReader({
        name: `reader ${n} (${transport} at first)`,
        channel: CHANNEL,
        transport,
        hosts: hosts.map((_, i) => hosts[(n + i) % hosts.length]!),
      });
      const end = () =>
        reader.then(
          (started) => started.end(),
          () => {},
        );
      opened.push({ end });
      return reader;
    }),
  );
}

/** The last first. One that cannot be ended keeps the others from nothing. */
export async function endAll(opened: Opened): Promise<void> {
  const last = opened.pop();
  if (!last) return;
  try {
    await last.end();
  } finally {
    await endAll(opened);
  }
}

/** Rejects when a fault could not be done, or healed. */
export async function runFaults(
  world: World,
  planned: readonly PlannedFault[],
  tell: (line: string) => void,
): Promise<{ name: string; began: number; healed: number }[]> {
  const { site } = world;
  const held = new Map<string, Promise<unknown>>();
  const running: Promise<{ name: string; began: number; healed: number }>[] = [];
  let last = Date.now();
  for (const { name, after, lasts, server } of planned) {
    await wait(Math.max(0, last + after - Date.now()));
    const { victim, also = [], run } = FAULTS[name]!;
    const things = [victim, ...also].flatMap((one) => {
      if (one === "every server") return site.servers.map((_, n) => `server ${n}`);
      return one === "server" ? `server ${server}` : one;
    });
    await Promise.all(things.map((thing) => held.get(thing)));
    last = Date.now();
    const began = last;
    const one = run(world, lasts, site.servers[server]!).then(() => {
      const healed = Date.now();
      tell(`  ${name}${victim === "server" ? ` (${site.servers[server]!.name})` : ""}: ${healed - began} ms`);
      return { name, began, healed };
    });
    // Whoever waits for all hears of it. Until then nobody waits, and Node would end every schedule.
    one.catch(() => {});
    for (const thing of things) held.set(thing, one);
    running.push(one);
  }
  return Promise.all(running);
}

async function storeWhenBack(
  site: Site,
  hosts: readonly string[],
  authorization: string,
): Promise<Standing[]> {
  const end = Date.now() + 60_000;
  for (let n = 0; ; n++) {
    try {
      return await storedPage(hosts[n % hosts.length]!, CHANNEL, authorization);
    } catch (error) {
      if (Date.now() > end)
        throw new Error(`the store does not answer any more: ${site.output()}`, { cause: error });
      await wait(500);
    }
  }
}
