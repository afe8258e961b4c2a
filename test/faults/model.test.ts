import { describe, expect, it } from "vitest";
import type { Frame } from "../../faults/frame.ts";
import { check } from "../../faults/model/check.ts";
import type { Focus, Sabotage } from "../../faults/model/history.ts";
import type { Since } from "../../src/logs/log.ts";

// Random histories of edits and faults (faults/model/): each reader's page equals the store in the end, and none ever
// shows what is older, doubled or out of place. By hand, as many as wanted: npm run faults:model -- --runs=100000

const RUNS = 1_000;

describe("the model of readers under faults", () => {
  it("finds nothing in a thousand histories", { timeout: 300_000 }, async () => {
    // The same for each change, so that what fails is the change's doing; other seeds by hand.
    const { failure, runs } = await check({ runs: RUNS, seed: 1 });
    expect(failure).toBeUndefined();
    expect(runs).toBe(RUNS);
  });

  it("comes out the same for the same seed", async () => {
    const budget = { runs: 30, seed: 11 };
    // With all that readers have shown meanwhile, in its order.
    const once = await check(budget);
    expect(once.digest).not.toBe(0);
    expect(await check(budget)).toEqual(once);
  });

  // What the model would not see it could not vouch for.
  describe("finds within a thousand histories", () => {
    for (const [what, sabotage] of Object.entries(sabotages())) {
      it(what, { timeout: 120_000 }, async () => {
        const { failure } = await check({ runs: RUNS, seed: 1, sabotage });
        expect(failure).toMatch(/ shows | still shows | was sent /);
        expect(failure).toMatch(/npm run faults:model -- --seed=1 --path=\d/);
      });
    }

    // They follow one connection alone, and would not miss what they have never heard of.
    for (const [what, [wire, found]] of Object.entries(wiresOfTheDeaf())) {
      it(`${what}, where readers know no cursors`, { timeout: 120_000 }, async () => {
        const focus = { reader: "live only" } as const;
        const { failure } = await check({ runs: RUNS, seed: 1, focus, sabotage: { wire } });
        expect(failure).toMatch(found);
      });
    }
  });

  it("prints what brings a failure back: without its corner, a path is of another history", async () => {
    const focus: Focus = { log: "sqlite store", reader: "live only", often: ["wait", "log"] };
    const sabotage = { wire: () => [] };
    const { failure } = await check({ runs: 10, seed: 1, focus, sabotage });
    const [, flags] = /^Again: npm run faults:model -- (.*)$/m.exec(failure!)!;
    const said = Object.fromEntries(
      [...flags!.matchAll(/--(\w+)=(?:"([^"]*)"|(\S+))/g)].map(([, name, quoted, word]) => [
        name,
        quoted ?? word,
      ]),
    );
    expect(said).toEqual({
      seed: "1",
      path: said.path,
      log: focus.log,
      reader: focus.reader,
      often: "wait,log",
    });
    const again = await check({ runs: 1, seed: 1, path: said.path, focus, sabotage });
    const history = (text: string | undefined) => text?.slice(text.indexOf("\n"));
    expect(history(again.failure)).toBe(history(failure));
  });
});

function wiresOfTheDeaf(): Record<string, readonly [wire: NonNullable<Sabotage["wire"]>, found: RegExp]> {
  const isQuiet = (text: string) => text.startsWith('{"renders":{},"removals":[]');
  return {
    "a network that brings nothing at all": [() => [], / has not heard of a /],
    "a network that brings no update": [
      (text) => (isQuiet(text) ? [text] : []),
      / shows | has not heard of a /,
    ],
    "a network that brings nothing of two posts": [
      (text) => {
        const frame = JSON.parse(text) as Frame;
        const { b: _, 7: __, ...renders } = frame.renders;
        const removals = frame.removals.filter((id) => id !== "b" && id !== "7");
        return [JSON.stringify({ ...frame, renders, removals })];
      },
      / shows (b|7) \[/,
    ],
  };
}

function sabotages(): Record<string, Sabotage> {
  const since = (change: (answer: Since, cursor: string | null) => Since): Sabotage => ({
    log: (log) => ({ ...log, since: async (id, cursor) => change(await log.since(id, cursor), cursor) }),
  });
  const first = new WeakMap<object, string[]>();
  const late = new WeakMap<object, { at: number; heads: string[] }>();
  let frames = 0;
  let last = "";
  return {
    "a log that is never asked for its heads again": {
      log: (log) => ({
        ...log,
        async heads(channels) {
          const known = first.get(log) ?? (await log.heads(channels));
          first.set(log, known);
          return known;
        },
      }),
    },
    "a log that tells its heads late": {
      log: (log) => ({
        ...log,
        async heads(channels) {
          const known = late.get(log);
          if (known && Date.now() - known.at < 20_000) return known.heads;
          const heads = await log.heads(channels);
          late.set(log, { at: Date.now(), heads });
          return heads;
        },
      }),
    },
    "a log that takes every cursor for one that holds": since((answer, cursor) =>
      "reset" in answer && cursor
        ? { entry: { renders: new Map(), removals: [], cursor: answer.reset }, more: false }
        : answer,
    ),
    "a log that forgets what was removed": since((answer) =>
      "reset" in answer ? answer : { ...answer, entry: { ...answer.entry, removals: [] } },
    ),
    "a log that leaves the oldest change out": since((answer) =>
      "reset" in answer
        ? answer
        : { ...answer, entry: { ...answer.entry, renders: new Map([...answer.entry.renders].slice(1)) } },
    ),
    "a network that loses a frame in ten": { wire: (text) => (++frames % 10 ? [text] : []) },
    "a network that brings an old frame in place of a heartbeat": {
      wire(text) {
        if (text.includes('"content"')) last = text;
        const cursor = /"cursor":"[^"]*"/;
        return [
          last && !text.includes('"content"') ? last.replace(cursor, cursor.exec(text)?.[0] ?? "$&") : text,
        ];
      },
    },
  };
}
