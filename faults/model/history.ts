/** Random histories: what may happen, in words and as deeds, and what must hold at every step and in the end. */
import fc from "fast-check";
import type { Log } from "../../src/logs/log.ts";
import { random as chanceFrom } from "../random.ts";
import { type Browsers, installBrowsers } from "./browser.ts";
import { type BusMood, faultyBus } from "./bus.ts";
import { installClock } from "./clock.ts";
import { type LiveReader, liveReader } from "./live-reader.ts";
import { createNetwork, Line, type LogMood, MOST_UNREAD, type Process, startProcess } from "./network.ts";
import { modelReader, type OpenPage, readPage, type TransportName } from "./reader.ts";
import { CHANNEL, type Edit, LOG_KINDS, type LogKind, openSite, POSTS, type Post } from "./site.ts";
import { timely, type Way } from "./timely.ts";
import { Broken, Judge, Truth, textOf } from "./truth.ts";

const BUS_MOODS: Readonly<Record<string, BusMood>> = {
  fine: {},
  losing: { lose: 0.5 },
  deaf: { lose: 1 },
  repeating: { repeat: 0.6, delay: 300 },
  echoing: { repeat: 0.6 },
  reordering: { delay: 2_000 },
  late: { delay: 9_000, repeat: 0.3 },
  bare: { bare: 0.7 },
  awful: { lose: 0.3, repeat: 0.3, bare: 0.3, delay: 3_000 },
  down: { down: true },
};

export type Step =
  /** Edits made at the same time, each by a writer of its own. `untold`: they died before they told the bus. */
  | { readonly do: "edit"; readonly edits: readonly Edit[]; readonly untold?: boolean }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "bus"; readonly mood: string }
  | { readonly do: "log"; readonly what: "reopen" | "backUp" | "restore" | "remake" | "trim" }
  | { readonly do: "process"; readonly process: number; readonly what: "close" | "kill" | "start" | LogMood }
  | {
      readonly do: "reader";
      readonly reader: number;
      readonly what: "stall" | "cut" | "die" | "down" | "up" | "hide" | "show" | "reload" | TransportName;
    }
  | { readonly do: "move"; readonly reader: number; readonly process: number }
  | { readonly do: "cache"; readonly what: "keep" | "fresh" | "polls" };

export interface History {
  readonly log: LogKind;
  readonly processes: number;
  readonly readers: readonly { readonly is: ReaderKind; readonly transport: TransportName }[];
  readonly seed: number;
  readonly steps: readonly Step[];
}

// --- what may happen ---------------------------------------------------------------------------------------

/** From PROTOCOL.md; the client; the client that knows WebSockets alone; and one that knows no cursors. */
export const READERS = ["model", "client", "plain client", "live only"] as const;
export type ReaderKind = (typeof READERS)[number];
export const TRANSPORTS = ["websocket", "sse", "polling"] as const;
const post = fc.constantFrom(...POSTS);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ op: fc.constant("write" as const), post, keyed: fc.boolean() }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constantFrom("hide", "show", "remove", "late"), post }) },
  { weight: 1, arbitrary: fc.constant({ op: "again" as const }) },
);
const small = fc.nat({ max: 3 });
/** What may happen, and how often beside the rest. */
const STEPS: Readonly<Record<Step["do"], readonly [weight: number, fc.Arbitrary<Step>]>> = {
  edit: [
    12,
    fc.record({
      do: fc.constant("edit" as const),
      edits: fc.array(edit, { minLength: 1, maxLength: 3 }),
      untold: fc.nat({ max: 5 }).map((n) => n === 5),
    }),
  ],
  wait: [
    8,
    fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(5, 40, 300, 1_000, 3_000, 6_000, 15_000, 40_000),
    }),
  ],
  bus: [3, fc.record({ do: fc.constant("bus" as const), mood: fc.constantFrom(...Object.keys(BUS_MOODS)) })],
  log: [
    2,
    fc.record({
      do: fc.constant("log" as const),
      what: fc.constantFrom("reopen", "backUp", "restore", "remake", "trim"),
    }),
  ],
  process: [
    3,
    fc.record({
      do: fc.constant("process" as const),
      process: small,
      what: fc.constantFrom("close", "kill", "start", "start", "fine", "slow", "failing", "hanging"),
    }),
  ],
  reader: [
    6,
    fc.record({
      do: fc.constant("reader" as const),
      reader: small,
      what: fc.constantFrom(
        ...(["stall", "stall", "cut", "die", "down", "up", "up", "hide", "show", "reload"] as const),
        ...TRANSPORTS,
      ),
    }),
  ],
  move: [2, fc.record({ do: fc.constant("move" as const), reader: small, process: small })],
  cache: [
    1,
    fc.record({ do: fc.constant("cache" as const), what: fc.constantFrom("keep", "fresh", "polls") }),
  ],
};
/** What chance alone would seldom bring about, with other things happening in between. */
const write = (post: Edit & { op: "write" }): Step => ({ do: "edit", edits: [post] });
const wait = (...ms: number[]) => fc.constantFrom(...ms).map((each): Step => ({ do: "wait", ms: each }));
const just = (...steps: Step[]) => fc.constant(steps);
const hidden: Step = { do: "reader", reader: 0, what: "hide" };
const shown: Step = { do: "reader", reader: 0, what: "show" };
/** A reader misses so much that it is told in parts, an old post changed last among it. */
const parts = fc
  .tuple(fc.shuffledSubarray([...POSTS], { minLength: 4 }), post, wait(6_000))
  .map(([posts, last, pause]) => [
    hidden,
    pause,
    ...posts.map((each) => write({ op: "write", post: each, big: true })),
    write({ op: "write", post: last }),
    shown,
    pause,
  ]);
/** While a reader that was reset fetches a page newer than its connection, the end of the history is lost. */
const doubt = fc
  .tuple(wait(5, 40), wait(1_000, 3_000), wait(300, 6_000))
  .map(([soon, fetched, later]): Step[] => [
    hidden,
    { do: "wait", ms: 6_000 },
    write({ op: "write", post: "b" }),
    { do: "edit", edits: [{ op: "remove", post: "b" }] },
    { do: "log", what: "trim" },
    write({ op: "write", post: "a" }),
    { do: "wait", ms: 6_000 },
    { do: "bus", mood: "deaf" },
    shown,
    soon,
    { do: "log", what: "backUp" },
    write({ op: "write", post: "b" }),
    write({ op: "write", post: "7" }),
    fetched,
    { do: "log", what: "restore" },
    { do: "bus", mood: "fine" },
    write({ op: "write", post: "a" }),
    later,
  ]);
/** A cache keeps a copy of the end of the history that is lost then, and nothing is written after. */
const copyOfLostEnd = wait(300, 6_000).map((later): Step[] => [
  { do: "log", what: "backUp" },
  write({ op: "write", post: "a" }),
  { do: "cache", what: "keep" },
  write({ op: "write", post: "a" }),
  { do: "wait", ms: 1_000 },
  { do: "log", what: "restore" },
  { do: "wait", ms: 10_000 },
  write({ op: "write", post: "b" }),
  later,
]);
/** Much is published that a reader does not take. */
const unread = fc
  .tuple(post, post, wait(40, 300))
  .map(([one, other, pause]): Step[] => [
    { do: "reader", reader: 0, what: "stall" },
    ...Array.from({ length: MOST_UNREAD }, (_, n) => write({ op: "write", post: n % 2 ? one : other })),
    pause,
    { do: "reader", reader: 0, what: "up" },
  ]);
/** A hub that asks a slow log what it missed hears of what comes next. */
const busy = fc
  .tuple(wait(5, 40), wait(40, 300), wait(6_000, 15_000))
  .map(([soon, later, end]): Step[] => [
    { do: "bus", mood: "fine" },
    shown,
    { do: "reader", reader: 0, what: "up" },
    { do: "process", process: 0, what: "slow" },
    { do: "wait", ms: 20_000 },
    { do: "edit", edits: [{ op: "write", post: "a" }], untold: true },
    soon,
    write({ op: "write", post: "b" }),
    later,
    write({ op: "write", post: "7" }),
    end,
  ]);
/** What was on its way to a connection that was left arrives late, after the end of the history was lost. */
const linger = fc
  .tuple(wait(5, 40), wait(300, 6_000))
  .map(([soon, later]): Step[] => [
    { do: "bus", mood: "fine" },
    { do: "wait", ms: 6_000 },
    { do: "log", what: "backUp" },
    { do: "reader", reader: 0, what: "stall" },
    write({ op: "write", post: "b" }),
    soon,
    hidden,
    { do: "wait", ms: 6_000 },
    { do: "log", what: "restore" },
    shown,
    { do: "wait", ms: 300 },
    write({ op: "write", post: "a" }),
    { do: "reader", reader: 0, what: "up" },
    later,
  ]);
const stories = fc.oneof(
  { weight: 8, arbitrary: just() },
  { weight: 1, arbitrary: copyOfLostEnd },
  { weight: 1, arbitrary: parts },
  { weight: 1, arbitrary: doubt },
  { weight: 1, arbitrary: busy },
  { weight: 1, arbitrary: unread },
  { weight: 1, arbitrary: linger },
);

/** What is looked into: all else is left to chance. */
export interface Focus {
  readonly log?: LogKind | undefined;
  /** All readers are of this kind, and begin so. */
  readonly reader?: ReaderKind | undefined;
  readonly transport?: TransportName | undefined;
  /** Kinds of steps that happen five times as often. */
  readonly often?: readonly Step["do"][] | undefined;
}

export const STEP_KINDS = Object.keys(STEPS) as readonly Step["do"][];

const either = <T>(wanted: T | undefined, all: readonly T[]) =>
  wanted === undefined ? fc.constantFrom(...all) : fc.constant(wanted);

export function histories({ log, reader, transport, often = [] }: Focus = {}): fc.Arbitrary<History> {
  const kinds = Object.entries(STEPS).map(([kind, [weight, arbitrary]]) => ({
    weight: often.includes(kind as Step["do"]) ? 5 * weight : weight,
    arbitrary,
  }));
  return fc
    .record({
      log: either(log, LOG_KINDS),
      processes: fc.integer({ min: 1, max: 3 }),
      readers: fc.array(
        fc.record({ is: either(reader, READERS), transport: either(transport, TRANSPORTS) }),
        { minLength: 1, maxLength: 4 },
      ),
      seed: fc.noShrink(fc.nat()),
      story: stories,
      steps: fc.array(fc.oneof(...kinds), { minLength: 3, maxLength: 40, size: "max" }),
    })
    .map(({ story, steps, ...rest }) => {
      const middle = steps.length >> 1;
      return { ...rest, steps: [...steps.slice(0, middle), ...story, ...steps.slice(middle)] };
    }) as fc.Arbitrary<History>;
}

// --- in words ----------------------------------------------------------------------------------------------

export function describe({ log, processes, readers, seed, steps }: History): string {
  const who = readers.map(({ is, transport }, i) => `r${i} (${is}, ${transport})`).join(", ");
  const lines = steps.map((step, i) => `${String(i + 1).padStart(4)}. ${describeStep(step)}`);
  return [`${log}, ${processes} process(es), readers ${who}, chance ${seed}`, ...lines].join("\n");
}

function describeStep(step: Step): string {
  switch (step.do) {
    case "edit": {
      const edits = step.edits.map((edit) => {
        if (edit.op === "again") return "the last keyed request again";
        const flags = edit.op === "write" ? `${edit.big ? " (big)" : ""}${edit.keyed ? " (keyed)" : ""}` : "";
        return `${edit.op} ${edit.post}${flags}`;
      });
      return `edit: ${edits.join(", and at once ")}${step.untold ? "; the bus is not told" : ""}`;
    }
    case "wait":
      return `wait ${step.ms} ms`;
    case "bus":
      return `the bus is ${step.mood}`;
    case "log":
      return `log: ${step.what}`;
    case "process":
      return `process p${step.process}: ${step.what}`;
    case "reader":
      return `reader r${step.reader}: ${step.what}`;
    case "move":
      return `reader r${step.reader} is sent to p${step.process} from now on`;
    case "cache":
      return `cache: ${step.what}`;
  }
}

// --- as deeds ----------------------------------------------------------------------------------------------

export interface Outcome {
  /** Milliseconds of virtual time from the end of the faults until all readers were equal. */
  readonly equalAfter: number;
  readonly resets: number;
  /** Of all that readers have shown, in order: the same for the same history. */
  readonly digest: number;
}

/** Parts that break their contracts. */
export interface Sabotage {
  /** What a process gets in place of the log. */
  readonly log?: (log: Log) => Log;
  /** What arrives of a text that was sent. */
  readonly wire?: (text: string) => readonly string[];
}

interface Reader {
  readonly is: ReaderKind;
  readonly line: Line;
  page: OpenPage | LiveReader;
  judge: Judge;
  transport: TransportName;
}

/** How long after the last fault every reader is equal, at most: a silent death is noticed after 60 s, then back-off. */
const EQUAL_WITHIN_MS = 180_000;

/** Lets a history happen; throws {@link Broken} with what the reader saw. */
export async function happen(history: History, sabotage: Sabotage = {}): Promise<Outcome> {
  const random = chanceFrom(history.seed).next;
  let broken: Broken | undefined;
  const readers: Reader[] = [];

  /** What was thrown while somebody else's code was told must not end up there. */
  function judged(look: () => void): void {
    try {
      look();
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      broken ??= error;
    }
  }
  const lastShown = new Map<Line, string>();
  let digest = 0;
  const look = ({ page, judge, line }: Reader) =>
    judged(() => {
      if ("judge" in page) return site.isCut || page.judge();
      const text = judge.look(page.posts, page.cursor, !site.isCut);
      if (text !== lastShown.get(line)) digest = digestOf(`${line.name} ${text} ${clock.now()}`, digest);
      lastShown.set(line, text);
      if (!site.isCut) owed.look(line, text, truth.shown());
    });
  const lookAtAll = () => {
    for (const reader of readers) look(reader);
  };

  const clock = installClock(chanceFrom(history.seed + 1).next, lookAtAll);
  const owed = timely(clock);
  const bus = faultyBus(random);
  let busMood = "fine";
  /** How the bus was before, until what it has lost then is found. */
  let doubtedUntil = 0;
  let tellsBus = true;
  function way(): Way {
    if (!tellsBus || clock.now() < doubtedUntil) return "heads";
    return busMood === "fine" ? "told" : busMood === "down" ? "down" : "heads";
  }
  const truth = new Truth((from, to) => owed.moved(from, to, way()));
  const joined = bus.join();
  const site = await openSite(
    history.log,
    truth,
    { ...joined, publish: async (...told) => (tellsBus ? joined.publish(...told) : undefined) },
    clock,
  );
  const start = () =>
    startProcess({ log: () => sabotage.log?.(site.log) ?? site.log, bus: bus.join(), clock, random });
  const processes: Process[] = Array.from({ length: history.processes }, start);
  async function html(): Promise<string> {
    try {
      return await site.html();
    } catch (error) {
      if (error instanceof Broken) broken ??= error;
      throw error;
    }
  }
  const network = createNetwork({
    clock,
    random,
    processes,
    html,
    broken: (what) => {
      broken ??= new Broken(what);
    },
    wire: sabotage.wire,
  });
  let browsers: Browsers | undefined;

  async function open(reader: Reader): Promise<void> {
    const { line, transport } = reader;
    const { text } = await network.get(new Line(line.name, 0), "/live/");
    reader.judge = new Judge(truth, line.name);
    const changed = () => look(reader);
    const parts = { line, network, clock, random, channel: CHANNEL, html: text, transport, changed };
    if (reader.is === "live only") reader.page = liveReader(parts, truth);
    else
      reader.page =
        reader.is === "model" ? modelReader(parts) : browsers!.open(parts, reader.is === "plain client");
  }

  async function end(process: Process, kindly: boolean): Promise<void> {
    if (!process.isUp) return;
    process.isUp = false;
    if (kindly) {
      void process.hub.close({ drainMs: 1_000 });
      await clock.advance(1_500);
    }
    process.isDead = true;
    process.sockets.terminate();
    const own = readers.filter(({ line }) => processes[line.process % processes.length] === process);
    // Those who were moved since keep their connections elsewhere; cutting these too is one more fault.
    for (const { line } of own) line.cut();
    void process.hub.close({ drainMs: 0 });
  }

  async function act(step: Step): Promise<void> {
    const reader = "reader" in step ? readers[step.reader % readers.length]! : undefined;
    switch (step.do) {
      case "edit": {
        tellsBus = !step.untold;
        const edits = step.edits.map((edit) => site.edit(edit));
        const done = Promise.allSettled(edits);
        await clock.advance(2);
        for (const result of await done) {
          // Of two writers one may come too late: it is told so.
          const code = result.status === "rejected" && (result.reason as { code?: string }).code;
          if (result.status === "rejected" && code !== "conflict" && code !== "not_found")
            throw result.reason;
        }
        tellsBus = true;
        break;
      }
      case "wait":
        return clock.advance(step.ms);
      case "bus":
        busMood = step.mood;
        doubtedUntil = clock.now() + 6_000;
        return bus.mood(BUS_MOODS[step.mood]!);
      case "log": {
        owed.disturbed();
        const acting = site[step.what]();
        await clock.advance(5);
        return acting;
      }
      case "process": {
        const index = step.process % processes.length;
        const process = processes[index]!;
        if (step.what === "close" || step.what === "kill") return end(process, step.what === "close");
        owed.disturbed(process);
        if (step.what !== "start") process.mood = step.what;
        else if (!process.isUp) processes[index] = start();
        break;
      }
      case "reader":
        return actOn(reader!, step.what);
      case "move":
        reader!.line.process = step.process;
        break;
      case "cache":
        // Who is reset meanwhile waits for a fresh page.
        owed.disturbed();
        if (step.what === "polls") network.cachesPolls.on = true;
        else if (step.what === "fresh") network.fresh();
        else await network.keepCopies();
    }
  }

  async function actOn(reader: Reader, what: (Step & { do: "reader" })["what"]): Promise<void> {
    const { line, page } = reader;
    if (what === "stall" || what === "cut" || what === "die" || what === "down" || what === "up")
      line[what]();
    else if (what === "hide" || what === "show") page[what]();
    else if (what === "reload") {
      page.close();
      const opening = open(reader);
      await clock.advance(100);
      await opening;
    } else {
      reader.transport = what;
      page.use(what);
    }
  }

  const check = () => {
    if (broken) throw broken;
  };

  /** @param last a post that who knows no cursors must have heard of, too. */
  async function equal(last?: Post): Promise<number> {
    const began = clock.now();
    const isEqual = ({ page }: Reader) =>
      "judge" in page
        ? last === undefined || page.heard(last) === truth.get(last)?.mark
        : textOf(page.posts) === truth.shown();
    for (;;) {
      const behind = readers.find((each) => !isEqual(each));
      if (!behind) return clock.now() - began;
      if (clock.now() - began > EQUAL_WITHIN_MS) {
        const { line, page } = behind;
        const wrong = "judge" in page ? `has not heard of ${last}` : `still shows [${textOf(page.posts)}]`;
        throw new Broken(
          `${line.name} ${wrong} at ${page.cursor} ${EQUAL_WITHIN_MS} ms after the last fault, where it is [${truth.shown()}]`,
        );
      }
      await clock.advance(500);
      check();
    }
  }

  try {
    browsers = installBrowsers(network);
    await clock.advance(5);
    for (const [i, { is, transport }] of history.readers.entries()) {
      const line = new Line(`r${i}`, i);
      const reader = { is, line, transport } as Reader;
      const opening = open(reader);
      await clock.advance(100);
      await opening;
      readers.push(reader);
    }
    for (const step of history.steps) {
      await act(step);
      lookAtAll();
      check();
    }

    // The faults end.
    bus.mood({});
    [busMood, doubtedUntil] = ["fine", clock.now() + 6_000];
    network.fresh();
    owed.disturbed();
    for (const [index, process] of processes.entries()) {
      process.mood = "fine";
      if (!process.isUp) processes[index] = start();
    }
    for (const { line, page } of readers) {
      line.up();
      line.blocked.clear();
      page.show();
    }
    const inStore = readInStore(await html());
    if (inStore !== truth.shown()) throw new Broken(`the store has [${inStore}], not [${truth.shown()}]`);
    const equalAfter = await equal();
    // They stay so, and are not deaf: not even where a log that hung is given up after 10 s, and asked again 5 s later.
    await clock.advance(16_000);
    await equal();
    // Shown, for of what is written to a hidden post nobody hears.
    for (const op of ["show", "write"] as const) await act({ do: "edit", edits: [{ op, post: "a" }] });
    await equal("a");
    check();
    const resets = processes.reduce((sum, { hub }) => sum + hub.stats().resets, 0);
    return { equalAfter, resets, digest };
  } finally {
    for (const { page } of readers) page.close();
    for (const process of processes) {
      process.isDead = true;
      void process.hub.close({ drainMs: 0 });
    }
    await clock.advance(2_000);
    await site.close();
    browsers?.uninstall();
    clock.uninstall();
  }
}

function readInStore(html: string): string {
  return textOf([...readPage(html).posts.values()]);
}

function digestOf(text: string, before: number): number {
  let digest = before;
  for (let i = 0; i < text.length; i++) digest = (Math.imul(digest, 31) + text.charCodeAt(i)) | 0;
  return digest;
}
