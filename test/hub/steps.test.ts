import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Frames, framesOf, toFrames } from "../../src/hub/frames.ts";
import { boundedSteps } from "../../src/hub/steps.ts";
import { MAX_SINCE_BYTES } from "../../src/logs/log.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { draftUpdate, encodeUpdate, type Update } from "../../src/protocol.ts";

const stepsOf = boundedSteps(1_000_000);

const shown = (content: string) => new Map([["a", { show: true, content, at: 1 }]]);
const update = (cursor: string, content = "A"): Frames =>
  framesOf({ renders: shown(content), removals: [], cursor });
const reset = (cursor: string): Frames => toFrames({ reset: cursor });

/** Answers that are counted. */
function asking(answer: Frames) {
  const calls: Frames[] = [];
  const ask = async () => {
    calls.push(answer);
    return answer;
  };
  return { ask, calls };
}
const nobody = () => Promise.reject(new Error("asked"));

describe("steps from one cursor to a later one", () => {
  it("are asked for once for all that want to know, also while the page moves on", async () => {
    const steps = stepsOf();
    const { ask, calls } = asking(update("e.2", "two"));
    await Promise.all([steps.get("e.1", "e.2", ask), steps.get("e.1", "e.2", ask)]);
    steps.add("e.2", update("e.3", "three"));
    const { text, cursor } = await steps.get("e.1", "e.3", ask);
    expect(calls).toHaveLength(1);
    expect(text).toBe(encodeUpdate({ renders: shown("three"), removals: [], cursor: "e.3" }));
    expect(cursor).toBe("e.3");
    // What was made of two is one step now.
    expect(await steps.get("e.1", "e.3", nobody)).toBe(await steps.get("e.1", "e.3", nobody));
    await stepsOf().get("e.1", "e.3", ask);
    expect(calls).toHaveLength(2);
  });

  it("say what the log would say", async () => {
    const id = fc.constantFrom("a", "b", "c", "10", "__proto__");
    const render = fc.record({ id, show: fc.boolean(), content: fc.constantFrom("x", "y", "z") });
    const draft = fc.record({
      renders: fc.uniqueArray(render, { maxLength: 3, selector: (each) => each.id }),
      removals: fc.uniqueArray(id, { maxLength: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(draft, { minLength: 1, maxLength: 20 }), async (drafts) => {
        const log = memoryLog();
        const steps = stepsOf();
        const cursors = await log.heads(["page"]);
        for (const { renders, removals } of drafts) {
          const entry = await log.append("page", draftUpdate(renders, removals));
          if (!("renders" in entry)) continue;
          if (cursors.length > 1) steps.add(cursors.at(-1)!, framesOf(entry));
          cursors.push(entry.cursor);
        }
        const head = cursors.at(-1)!;
        for (const cursor of cursors.slice(1, -1)) {
          const known = await steps.get(cursor, head, nobody);
          const asked = toFrames(await log.since("page", cursor));
          expect(plain(known.update!)).toEqual(plain(asked.update!));
          expect(known.cursor).toBe(head);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("that nobody could tell are asked for again", async () => {
    const steps = stepsOf();
    await expect(steps.get("e.1", "e.2", nobody)).rejects.toThrow("asked");
    const { ask } = asking(update("e.2"));
    expect((await steps.get("e.1", "e.2", ask)).cursor).toBe("e.2");
  });

  it("are asked for where one is missing on the way", async () => {
    const steps = stepsOf();
    steps.add("e.1", update("e.2"));
    steps.add("e.3", update("e.4"));
    const { ask, calls } = asking(update("e.4"));
    await steps.get("e.1", "e.4", ask);
    expect(calls).toHaveLength(1);
  });

  it("are asked for where there are very many, or too much for one answer", async () => {
    const steps = stepsOf();
    for (let n = 0; n < 1_000; n++) steps.add(`e.${n}`, update(`e.${n + 1}`));
    const far = asking(update("e.1000"));
    await steps.get("e.0", "e.1000", far.ask);
    expect(far.calls).toHaveLength(1);
    await steps.get("e.900", "e.1000", nobody);

    const large = boundedSteps(100_000_000)();
    const half = "x".repeat(MAX_SINCE_BYTES / 2);
    large.add("e.1", update("e.2", half));
    const other = new Map([["b", { show: true, content: `${half}x`, at: 2 }]]);
    large.add("e.2", framesOf({ renders: other, removals: [], cursor: "e.3" }));
    const { ask, calls } = asking(framesOf({ renders: shown(half), removals: [], cursor: "e.2" }, true));
    // A part of it is an answer from then on, and the rest is known.
    expect((await large.get("e.1", "e.3", ask)).cursor).toBe("e.2");
    expect((await large.get("e.1", "e.3", nobody)).cursor).toBe("e.2");
    expect((await large.get("e.2", "e.3", nobody)).cursor).toBe("e.3");
    expect(calls).toHaveLength(1);
  });

  it("to a reset hold in its epoch", async () => {
    const steps = stepsOf();
    const { ask, calls } = asking(reset("e.2"));
    expect((await steps.get("old.7", "e.2", ask)).isReset).toBe(true);
    expect((await steps.get("old.7", "e.3", nobody)).isReset).toBe(true);
    expect(calls).toHaveLength(1);
    const anew = asking(reset("f.1"));
    expect((await steps.get("old.7", "f.1", anew.ask)).cursor).toBe("f.1");
  });

  it("are forgotten when the history's end was taken back", async () => {
    const steps = stepsOf();
    steps.add("e.5", update("e.6", "taken back"));
    await steps.get("e.6", "e.5", asking(reset("e.5")).ask);
    const { ask } = asking(update("e.6", "what came instead"));
    expect((await steps.get("e.5", "e.6", ask)).text).toContain("instead");
  });

  it("that lead across epochs are made one, and leave the others known", async () => {
    const steps = stepsOf();
    for (const from of ["a.5", "a.6", "a.7"]) await steps.get(from, "b.12", asking(update("b.12")).ask);
    steps.add("b.12", update("b.13"));
    for (const from of ["a.5", "a.6", "a.7"]) {
      expect((await steps.get(from, "b.13", nobody)).cursor).toBe("b.13");
    }
    steps.add("b.13", update("b.14"));
    expect((await steps.get("b.12", "b.14", nobody)).cursor).toBe("b.14");
  });

  it("are not forgotten for cursors that somebody invents", async () => {
    const steps = stepsOf();
    steps.add("e.1", update("e.2"));
    const { promise, resolve } = Promise.withResolvers<Frames>();
    const slow = steps.get("e.0", "e.2", () => promise);
    expect((await steps.get("e.999999", "e.2", asking(reset("e.2")).ask)).isReset).toBe(true);
    expect((await steps.get("e.1", "e.2", nobody)).cursor).toBe("e.2");
    const same = steps.get("e.0", "e.2", nobody);
    resolve(update("e.2"));
    expect(await same).toBe(await slow);
  });

  it("under way when they are dropped are not kept", async () => {
    const steps = stepsOf();
    const before = steps.get("e.1", "e.2", asking(update("e.2", "before")).ask);
    steps.drop();
    await before;
    const { ask } = asking(update("e.2", "after"));
    expect((await steps.get("e.1", "e.2", ask)).text).toContain("after");
  });

  it("of all pages take a bounded number of bytes, oldest out first", async () => {
    const bounded = boundedSteps(100_000);
    const pages = Array.from({ length: 100 }, bounded);
    for (const steps of pages) steps.add("e.1", update("e.2", "x".repeat(1_000)));
    const known = await Promise.all(
      pages.map((steps) =>
        steps.get("e.1", "e.2", nobody).then(
          () => true,
          () => false,
        ),
      ),
    );
    const first = known.indexOf(true);
    expect(first).toBeGreaterThan(50);
    expect(first).toBeLessThan(95);
    expect(known.slice(first).every(Boolean)).toBe(true);
  });
});

function plain({ renders, removals }: Update) {
  return { renders: [...renders], removals: [...removals].sort() };
}
