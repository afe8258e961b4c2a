/**
 * How to get from one cursor of a page to a later one, as far as this process knows: what it announced, and what the log
 * answered. With them the log is asked once for a cursor, however many readers come with it and however far the page has
 * moved on meanwhile.
 */
import { MAX_SINCE_BYTES } from "../logs/log.ts";
import { type Cursor, inPlace, parseCursor, type Render, type Update } from "../protocol.ts";
import { type Frames, framesOf } from "./frames.ts";

/** Longer ways are asked of the log: whoever invents cursors must not make this process walk. */
const MAX_WALKED = 256;

/** Of one page. */
export interface Steps {
  /**
   * What a reader at `from` has to be told to be at `head`: one update, as compact as the log's answer would be; or a part
   * of it, or a reset. `ask` is called where that is not known, once for all who want to know it meanwhile.
   */
  get(from: Cursor, head: Cursor, ask: () => Promise<Frames>): Promise<Frames>;
  /** What leads from `from` to the frames' cursor. */
  add(from: Cursor, frames: Frames): void;
  /**
   * The same, as the log has told it while the page was at `head`. Where that is another epoch, or takes the end of the
   * history back, nothing holds any more that leads elsewhere.
   */
  learn(from: Cursor, frames: Frames, head: Cursor): void;
  /** Nothing holds any more of what is known, or being asked. */
  drop(): void;
}

interface Step {
  readonly from: Cursor;
  readonly frames: Frames;
  readonly bytes: number;
  readonly home: Map<Cursor, Step>;
}

/**
 * Makes the steps of pages, which hold a bounded number of bytes in all: the oldest are forgotten first.
 *
 * @example
 * const stepsOf = boundedSteps(16_000_000);
 * const steps = stepsOf();
 * steps.add("e.1", framesOf(entry)); // its cursor is e.2
 * await steps.get("e.1", "e.2", ask); // the same frames; nobody was asked
 */
export function boundedSteps(maxBytes: number): () => Steps {
  /** Oldest first. */
  const kept = new Set<Step>();
  let total = 0;

  function forget(step: Step): void {
    if (!kept.delete(step)) return;
    total -= step.bytes;
    if (step.home.get(step.from) === step) step.home.delete(step.from);
  }

  return () => {
    const steps = new Map<Cursor, Step>();
    const asked = new Map<Cursor, Promise<Frames>>();

    function drop(): void {
      asked.clear();
      for (const step of [...steps.values()]) forget(step);
    }

    function learn(from: Cursor, frames: Frames, head: Cursor): void {
      const isOtherEpoch = epochOf(frames.cursor) !== epochOf(head);
      if (isOtherEpoch || (frames.isReset && isBeyond(from, frames.cursor))) {
        const lost = [...steps.values()].filter((step) => !leadsTo(step.frames.cursor, frames.cursor));
        for (const step of lost) forget(step);
        // An invented cursor is beyond the end, too: then nothing was lost.
        if (isOtherEpoch || lost.length > 0) asked.clear();
      }
      add(from, frames);
    }

    function add(from: Cursor, frames: Frames): void {
      if (frames.cursor === from) return;
      const known = steps.get(from);
      if (known) forget(known);
      // A text, the frame that is made of it, and the update that it was made of.
      const step = { from, frames, bytes: 4 * frames.text.length + 500, home: steps };
      steps.set(from, step);
      kept.add(step);
      total += step.bytes;
      for (const oldest of kept) {
        if (total <= maxBytes) break;
        forget(oldest);
      }
    }

    function find(from: Cursor, head: Cursor): Frames | undefined {
      const first = steps.get(from)?.frames;
      if (!first || first.cursor === head || first.more) return first;
      if (first.isReset) return epochOf(first.cursor) === epochOf(head) ? first : undefined;
      const update = compaction();
      let step: Frames | undefined = first;
      for (let n = 0; ; n++) {
        if (!step?.update || n === MAX_WALKED) return undefined;
        update.add(step.update);
        if (update.length() > MAX_SINCE_BYTES) return undefined;
        if (step.cursor === head) break;
        step = steps.get(step.cursor)?.frames;
      }
      const frames = framesOf({ ...update.result(), cursor: head });
      add(from, frames);
      return frames;
    }

    function get(from: Cursor, head: Cursor, ask: () => Promise<Frames>): Promise<Frames> {
      const known = find(from, head);
      if (known) return Promise.resolve(known);
      const waiting = asked.get(from);
      if (waiting) return waiting;
      const answer = ask();
      asked.set(from, answer);
      const settle = (frames?: Frames) => {
        if (asked.get(from) !== answer) return;
        asked.delete(from);
        if (frames) learn(from, frames, head);
      };
      answer.then(settle, () => settle());
      return answer;
    }

    return { get, add, learn, drop };
  };
}

const epochOf = (cursor: Cursor): string | undefined => parseCursor(cursor)?.epoch;

/** Whether a cursor is one on the way to a later one, of the same epoch. */
function leadsTo(cursor: Cursor, later: Cursor): boolean {
  return epochOf(cursor) === epochOf(later) && !isBeyond(cursor, later);
}

function isBeyond(cursor: Cursor, head: Cursor): boolean {
  const [asked, last] = [parseCursor(cursor), parseCursor(head)!];
  return asked?.epoch === last.epoch && asked.seq > last.seq;
}

/** Makes one update of several, added in their order. */
function compaction() {
  const renders = new Map<string, Render>();
  const removals = new Set<string>();
  let length = 0;

  function takeOut(id: string): void {
    length -= renders.get(id)?.content.length ?? 0;
    renders.delete(id);
    removals.delete(id);
  }

  return {
    add(update: Update): void {
      for (const [id, render] of update.renders) {
        takeOut(id);
        renders.set(id, render);
        length += render.content.length;
      }
      for (const id of update.removals) {
        takeOut(id);
        removals.add(id);
      }
    },
    /** Of all contents, in characters. */
    length: () => length,
    result: (): Update => ({ renders: inPlace(renders), removals: [...removals] }),
  };
}
