/**
 * Judges what readers saw against what the newsroom did. It knows nothing of cursors but that their numbers grow, and
 * shares no code with what it judges.
 *
 * Every change of a post leaves a mark in its text, `⟦n⟧`, counted from 0 for each post: a reader's page can be told from any
 * other by its marks alone.
 */

/** What a change made of a post. */
export type Kind = "shown" | "hidden" | "removed";

export interface Change {
  readonly kind: Kind;
  /** Milliseconds, of one clock for all. */
  readonly sent: number;
  /** When the server's 2xx came. */
  readonly acknowledged: number;
}

/** What the newsroom did: for each post its changes in their order; change n has the mark n. */
export type Ledger = ReadonlyMap<string, readonly Change[]>;

/** One post, as a reader saw it at one moment: its mark, or that it was hidden, taken away, or shown without its text. */
export interface Sighting {
  readonly id: string;
  readonly seen: number | "hidden" | "removed" | "blank";
  /** Its place; absent when it was taken away. */
  readonly at?: number;
}

/** What one frame, or one load of the page, made of a reader's page. */
export interface Step {
  readonly time: number;
  /** The number in the reader's cursor afterwards; `null` if it has none. */
  readonly seq: number | null;
  readonly sightings: readonly Sighting[];
}

export interface Trace {
  /** For the report: `websocket 3`. */
  readonly reader: string;
  readonly steps: readonly Step[];
  /** Ids that stood on the page twice, or that one connection brought twice. */
  readonly doubled: readonly string[];
  /** Ids that did not stand where their place is. */
  readonly misplaced: readonly string[];
  /** When it could or would not read, by its own doing. */
  readonly away: readonly (readonly [from: number, to: number])[];
  /** The posts shown in the end, newest first. */
  readonly final: readonly Standing[];
}

/** A post shown: its id and mark. */
export type Standing = readonly [id: string, mark: number];

export interface Verdict {
  /** Changes that a reader, or the store, lacks though it should have them. */
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly outOfOrder: readonly string[];
  /** Older versions after newer ones, and what a post never was, or was before anybody asked for it. */
  readonly stale: readonly string[];
}

export interface Evidence {
  readonly ledger: Ledger;
  /** The store's page in the end. */
  readonly store: readonly Standing[];
  readonly traces: readonly Trace[];
}

/** @returns each breach in words; all empty when every reader's page was a true one all the time, and equal in the end. */
export function judge({ ledger, store, traces }: Evidence): Verdict {
  const verdict = {
    lost: [] as string[],
    doubled: [] as string[],
    outOfOrder: [] as string[],
    stale: [] as string[],
  };
  judgeStore(ledger, store, verdict);
  const walks = traces.map((trace) => walk(ledger, trace, verdict));
  const order = orderOf(walks);
  for (const one of walks) judgeCompleteness(ledger, order, one, verdict);
  for (const { reader, doubled, misplaced } of traces) {
    verdict.doubled.push(...doubled.map((id) => `${reader}: ${id}`));
    verdict.outOfOrder.push(...misplaced.map((id) => `${reader}: ${id}`));
  }
  for (const { reader, final } of traces) compare(reader, final, store, verdict);
  judgePlaces(ledger, traces, verdict);
  return verdict;
}

/** What was acknowledged is in the store, and nothing else is. */
function judgeStore(ledger: Ledger, store: readonly Standing[], { lost, doubled, stale }: Draft): void {
  const standing = new Map(store);
  for (const [id, changes] of ledger) {
    const last = changes.length - 1;
    const isShown = changes[last]!.kind === "shown";
    const mark = standing.get(id);
    if (isShown && mark === undefined) lost.push(`store: ${id}`);
    else if (isShown && mark !== last) lost.push(`store: ${id} stands at ⟦${mark}⟧, not at ⟦${last}⟧`);
    else if (!isShown && mark !== undefined) stale.push(`store: ${id} should be ${changes[last]!.kind}`);
  }
  for (const [id] of store)
    if (!ledger.has(id)) doubled.push(`store: ${id} was made by nobody's answered request`);
}

/** A verdict that is being made. */
type Draft = Record<keyof Verdict, string[]>;

/** How far a reader was with each post, step by step. */
interface Walk {
  readonly trace: Trace;
  readonly steps: readonly {
    time: number;
    seq: number | null;
    marks: readonly (readonly [string, number])[];
  }[];
}

/**
 * Tells each sighting's place in the post's history. Of several that look alike (hidden twice) it takes the first that can be:
 * it was sent by then, answered or not.
 */
function walk(ledger: Ledger, trace: Trace, verdict: Draft): Walk {
  const known = new Map<string, number>();
  const steps = trace.steps.map(({ time, seq, sightings }) => {
    const marks: [string, number][] = [];
    for (const { id, seen } of sightings) {
      const changes = ledger.get(id);
      if (!changes) {
        verdict.doubled.push(`${trace.reader}: ${id} was made by nobody's answered request`);
        continue;
      }
      const before = known.get(id) ?? -1;
      const mark = changes.findIndex(
        ({ kind, sent }, index) => index >= before && sent <= time && lookOf(kind, index) === seen,
      );
      if (mark < 0) {
        const after = before < 0 ? "when it is first seen" : `after ⟦${before}⟧`;
        verdict.stale.push(`${trace.reader}: ${id} is ${seen} ${after}, at number ${seq}`);
        continue;
      }
      known.set(id, mark);
      marks.push([id, mark]);
    }
    return { time, seq, marks };
  });
  return { trace, steps };
}

/** What a reader sees of a change: nothing of the text of a post that is hidden. */
const lookOf = (kind: Kind, mark: number): Sighting["seen"] => (kind === "shown" ? mark : kind);

/** For each change the lowest number at which anybody has seen it: it is not above that one. */
function orderOf(walks: readonly Walk[]): readonly (readonly [seq: number, id: string, mark: number])[] {
  const first = new Map<string, Map<number, number>>();
  for (const { steps } of walks) {
    for (const { seq, marks } of steps) {
      if (seq === null) continue;
      for (const [id, mark] of marks) {
        const ofPost = first.get(id) ?? new Map<number, number>();
        ofPost.set(mark, Math.min(seq, ofPost.get(mark) ?? Number.POSITIVE_INFINITY));
        first.set(id, ofPost);
      }
    }
  }
  return [...first]
    .flatMap(([id, ofPost]) => [...ofPost].map(([mark, seq]) => [seq, id, mark] as const))
    .sort(([a], [b]) => a - b);
}

/** At every step: what comes at or before the reader's number must be on its page. */
function judgeCompleteness(
  ledger: Ledger,
  order: ReturnType<typeof orderOf>,
  { trace, steps }: Walk,
  { lost }: Draft,
): void {
  const known = new Map<string, number>();
  let next = 0;
  for (const { time, seq, marks } of steps) {
    for (const [id, mark] of marks) known.set(id, Math.max(mark, known.get(id) ?? -1));
    if (seq === null) continue;
    const due = new Map<string, readonly [mark: number, number: number]>();
    for (; next < order.length && order[next]![0] <= seq; next++) {
      const [number, id, mark] = order[next]!;
      if (mark > (due.get(id)?.[0] ?? -1)) due.set(id, [mark, number]);
    }
    for (const [id, [mark, number]] of due) {
      const now = reached(ledger, known.get(id) ?? -1, id, mark, time);
      if (now !== undefined) known.set(id, now);
      else
        lost.push(
          `${trace.reader}: ${id} ⟦${mark}⟧ is missing at number ${seq}, although it came at ${number} or before`,
        );
    }
  }
}

/**
 * How far a reader is with a post of which it was seen at `known` (-1: never), if it has all of its history up to `mark` or
 * cannot be told from one that has: what is hidden may have been shown, and hidden once more; what is not there may have come
 * and gone.
 */
function reached(ledger: Ledger, known: number, id: string, mark: number, time: number): number | undefined {
  if (known >= mark) return known;
  const changes = ledger.get(id)!;
  const looks = changes[known]?.kind ?? "removed";
  if (looks === "shown") return undefined;
  const index = changes.findIndex(({ kind, sent }, each) => each >= mark && kind === looks && sent <= time);
  return index < 0 ? undefined : index;
}

function compare(
  reader: string,
  seen: readonly Standing[],
  store: readonly Standing[],
  verdict: Draft,
): void {
  const shown = new Map(seen);
  const due = new Map(store);
  for (const [id, mark] of store) {
    if (!shown.has(id)) verdict.lost.push(`${reader}: ${id} is missing in the end`);
    else if (shown.get(id)! !== mark)
      verdict.stale.push(`${reader}: ${id} stands at ⟦${shown.get(id)}⟧ in the end, not at ⟦${mark}⟧`);
  }
  for (const [id] of seen) if (!due.has(id)) verdict.stale.push(`${reader}: ${id} is still there in the end`);
  if (shown.size < seen.length) verdict.doubled.push(`${reader}: a post stands twice in the end`);
  const common = (list: readonly Standing[]) =>
    list.map(([id]) => id).filter((id) => shown.has(id) && due.has(id));
  if (common(seen).join() !== common(store).join())
    verdict.outOfOrder.push(`${reader}: the order in the end`);
}

/** A post keeps its place, the same for all; who was answered before another was sent stands before it. */
function judgePlaces(ledger: Ledger, traces: readonly Trace[], { outOfOrder }: Draft): void {
  const places = new Map<string, number>();
  for (const { reader, steps } of traces) {
    for (const { id, at } of steps.flatMap(({ sightings }) => sightings)) {
      if (at === undefined) continue;
      const known = places.get(id) ?? at;
      places.set(id, known);
      if (known !== at) outOfOrder.push(`${reader}: ${id} moved from ${known} to ${at}`);
    }
  }
  const posts = [...ledger].filter(([id]) => places.has(id));
  posts.sort(([a], [b]) => places.get(a)! - places.get(b)!);
  let latest = Number.NEGATIVE_INFINITY;
  for (const [id, [first]] of posts) {
    if (first!.acknowledged < latest)
      outOfOrder.push(`${id} stands after a post that was sent when it was there`);
    latest = Math.max(latest, first!.sent);
  }
}

/**
 * How long readers took until they had all that was acknowledged before `moment`, in milliseconds; those away then, or
 * that came later, are left out. `Infinity`: never.
 */
export function timesToEquality(ledger: Ledger, traces: readonly Trace[], moment: number): number[] {
  const due = new Map<string, number>();
  for (const [id, changes] of ledger) {
    const mark = changes.findLastIndex(({ acknowledged }) => acknowledged <= moment);
    if (mark >= 0) due.set(id, mark);
  }
  const walks = traces.map((trace) =>
    walk(ledger, trace, { lost: [], doubled: [], outOfOrder: [], stale: [] }),
  );
  // A post that came and went while a reader was away leaves no trace but the number: that of what was due, or, when
  // nobody has seen that, of what came after it.
  const numbers = new Map<string, number>();
  for (const [seq, id, mark] of orderOf(walks)) {
    if (mark >= (due.get(id) ?? Number.POSITIVE_INFINITY) && !numbers.has(id)) numbers.set(id, seq);
  }
  return walks
    .filter(({ trace: { steps, away } }) => {
      const isAway = away.some(([from, to]) => from <= moment && moment < to);
      return steps[0]!.time <= moment && !isAway;
    })
    .map(({ steps }) => {
      const missing = new Map(due);
      const known = new Map<string, number>();
      for (const { time, seq, marks } of steps) {
        for (const [id, mark] of marks) known.set(id, mark);
        for (const [id, mark] of missing) {
          const isPast = seq !== null && seq >= (numbers.get(id) ?? Number.POSITIVE_INFINITY);
          if (isPast || reached(ledger, known.get(id) ?? -1, id, mark, time) !== undefined)
            missing.delete(id);
        }
        if (missing.size === 0) return Math.max(0, time - moment);
      }
      return Number.POSITIVE_INFINITY;
    });
}

/**
 * For each reader the longest time that it lacked a change that was acknowledged, in milliseconds; changes before it came are
 * left out. `Infinity`: one that it never got.
 */
export function staleness(ledger: Ledger, traces: readonly Trace[]): number[] {
  const walks = traces.map((trace) =>
    walk(ledger, trace, { lost: [], doubled: [], outOfOrder: [], stale: [] }),
  );
  // A post that came and went while a reader was away leaves no trace but the number.
  const order = orderOf(walks);
  return walks.map(({ steps }) => {
    const came = steps[0]!.time;
    const known = new Map<string, number>();
    let next = 0;
    let longest = 0;
    const learn = (id: string, mark: number, time: number) => {
      const changes = ledger.get(id)!;
      for (let each = (known.get(id) ?? -1) + 1; each <= mark; each++) {
        const { acknowledged } = changes[each]!;
        // A hidden post that is hidden anew looks the same.
        const isUnseen = changes[each]!.kind === "hidden" && changes[each - 1]?.kind === "hidden";
        if (acknowledged >= came && !isUnseen) longest = Math.max(longest, time - acknowledged);
      }
      known.set(id, Math.max(mark, known.get(id) ?? -1));
    };
    for (const { time, seq, marks } of steps) {
      for (const [id, mark] of marks) learn(id, mark, time);
      for (; seq !== null && next < order.length && order[next]![0] <= seq; next++) {
        const [, id, mark] = order[next]!;
        learn(id, mark, time);
      }
    }
    const lacks = [...ledger].some(
      ([id, changes]) =>
        reached(ledger, known.get(id) ?? -1, id, changes.length - 1, Number.POSITIVE_INFINITY) === undefined,
    );
    return lacks ? Number.POSITIVE_INFINITY : longest;
  });
}
