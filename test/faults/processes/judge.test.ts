import { describe, expect, it } from "vitest";
import {
  type Change,
  type Evidence,
  judge,
  type Sighting,
  staleness,
  type Trace,
  timesToEquality,
} from "../../../faults/processes/judge.ts";

const change = (kind: Change["kind"], acknowledged: number): Change => ({
  kind,
  sent: acknowledged - 5,
  acknowledged,
});

/** a is edited and hidden, b written later, c taken away. */
const ledger = new Map([
  ["a", [change("shown", 10), change("shown", 30), change("hidden", 50)]],
  ["b", [change("shown", 20)]],
  ["c", [change("shown", 40), change("removed", 60)]],
]);

const step = (seq: number, ...sightings: Sighting[]) => ({ time: seq * 10 + 1, seq, sightings });
const a = (seen: Sighting["seen"], at = 1): Sighting => ({ id: "a", seen, at });
const b = (seen: Sighting["seen"], at = 2): Sighting => ({ id: "b", seen, at });
const c = (seen: Sighting["seen"], at = 4): Sighting => ({ id: "c", seen, at });

const truth: Trace = {
  reader: "one",
  steps: [
    step(0),
    step(1, a(0)),
    step(2, b(0)),
    step(3, a(1)),
    step(4, c(0)),
    step(5, a("hidden")),
    step(6, c("removed")),
  ],
  doubled: [],
  misplaced: [],
  away: [],
  final: [["b", 0]],
};

function verdict(change: Partial<Trace>, rest: Partial<Evidence> = {}) {
  const other = { ...truth, reader: "two", ...change };
  return judge({ ledger, store: [["b", 0]], traces: [truth, other], ...rest });
}

const NOTHING = { lost: [], doubled: [], outOfOrder: [], stale: [] };

describe("the judge", () => {
  it("finds nothing where all is well, also when updates came compacted, or late", () => {
    expect(verdict({})).toEqual(NOTHING);
    expect(verdict({ steps: [step(0), step(6, b(0), a("hidden"))] })).toEqual(NOTHING);
    expect(verdict({ steps: [step(4, c(0), b(0), a(1)), step(6, a("hidden"), c("removed"))] })).toEqual(
      NOTHING,
    );
  });

  it("finds a change that a reader skipped, although a later one made up for it", () => {
    const steps = [
      step(0),
      step(1, a(0)),
      step(3, a(1)),
      step(4, c(0), b(0)),
      step(6, a("hidden"), c("removed")),
    ];
    expect(verdict({ steps })).toEqual({
      ...NOTHING,
      lost: ["two: b ⟦0⟧ is missing at number 3, although it came at 2 or before"],
    });
  });

  it("finds a removal and a hiding that did not come", () => {
    const steps = [step(4, c(0), b(0), a(1)), step(6)];
    expect(verdict({ steps }).lost).toEqual([
      "two: a ⟦2⟧ is missing at number 6, although it came at 5 or before",
      "two: c ⟦1⟧ is missing at number 6, although it came at 6 or before",
    ]);
  });

  it("takes a hidden post for one that was shown and hidden again meanwhile, once that was sent", () => {
    const twice = new Map([
      ["a", [change("shown", 10), change("hidden", 20), change("shown", 30), change("hidden", 50)]],
    ]);
    const steps = [step(0), step(1, a(0)), step(2, a("hidden")), step(3, a(2)), step(5, a("hidden"))];
    const one: Trace = { ...truth, steps, final: [] };
    const judged = (...steps: Trace["steps"]) =>
      judge({ ledger: twice, store: [], traces: [one, { ...one, reader: "two", steps }] });
    expect(judged(step(0), step(1, a(0)), step(5, a("hidden")))).toEqual(NOTHING);
    // At number 4 the second time was not sent yet, and the post was to be seen.
    expect(judged(step(0), step(1, a(0)), step(2, a("hidden")), step(4), step(5)).lost).toHaveLength(1);
    expect(judged(step(0), step(1, a(0)), step(4), step(5, a("hidden"))).lost).toHaveLength(1);
  });

  it("takes a post that a page never had for one that came and went, once its removal was sent", () => {
    // Who saw c come was away when it went, and heard of it at 8; the page that never had it was at 7 by then.
    const came = [...truth.steps.slice(0, 5), step(5, a("hidden"))];
    const one: Trace = { ...truth, steps: [...came, step(8, c("removed"))] };
    const judged = (seq: number) => {
      const steps = [step(3, a(1), b(0)), step(seq, a("hidden")), step(8)];
      return judge({ ledger, store: [["b", 0]], traces: [one, { ...truth, reader: "two", steps }] });
    };
    expect(judged(7)).toEqual(NOTHING);
    // It was not sent yet.
    expect(judged(5).lost).toEqual(["two: c ⟦0⟧ is missing at number 5, although it came at 4 or before"]);
  });

  it("finds an older version after a newer one, and what comes back after it was hidden or taken away", () => {
    for (const late of [a(0), a(1), c(0)]) {
      expect(verdict({ steps: [...truth.steps, step(7, late)] }).stale).toHaveLength(1);
    }
  });

  it("finds what a post never was, or was not yet, also when that is the first that a reader sees of it", () => {
    // Nobody has seen anything else at that number: what comes after makes up for it.
    const first = (seen: Sighting["seen"]) => {
      const one = { ...truth, steps: [step(0), step(2, b(seen)), step(3, b(0))] };
      const few = new Map([["b", ledger.get("b")!]]);
      return judge({ ledger: few, store: [["b", 0]], traces: [one] }).stale;
    };
    expect(first(0)).toEqual([]);
    expect(first("hidden")).toEqual(["one: b is hidden when it is first seen, at number 2"]);
    expect(first("removed")).toEqual(["one: b is removed when it is first seen, at number 2"]);
    expect(first("blank")).toEqual(["one: b is blank when it is first seen, at number 2"]);
    // The text of a version that is hidden.
    const shows = [...truth.steps.slice(0, 5), step(5, a(2)), truth.steps[6]!];
    expect(verdict({ steps: shows }).stale).toEqual(["two: a is 2 after ⟦1⟧, at number 5"]);
    // It will be hidden, but nobody has asked for that yet.
    const early = [step(0), step(1, a("hidden")), step(2, b(0)), ...truth.steps.slice(4)];
    expect(verdict({ steps: early }).stale).toEqual(["two: a is hidden when it is first seen, at number 1"]);
  });

  it("takes a change that was sent and not answered for one that may be seen", () => {
    const slow = new Map([["b", [{ kind: "hidden", sent: 5, acknowledged: 90 }]]] as const);
    const steps = [step(0), step(1, b("hidden"))];
    expect(judge({ ledger: slow, store: [], traces: [{ ...truth, steps, final: [] }] })).toEqual(NOTHING);
  });

  it("finds an end that differs: a post missing, old, left over, twice, or in another place", () => {
    expect(verdict({ final: [] }).lost).toEqual(["two: b is missing in the end"]);
    expect(
      verdict({
        final: [
          ["b", 0],
          ["c", 0],
        ],
      }).stale,
    ).toEqual(["two: c is still there in the end"]);
    expect(
      verdict({
        final: [
          ["b", 0],
          ["b", 0],
        ],
      }).doubled,
    ).toEqual(["two: a post stands twice in the end"]);
    const shown = new Map([...ledger, ["d", [change("shown", 70), change("shown", 80)]]] as const);
    const store = [
      ["d", 1],
      ["b", 0],
    ] as const;
    const both = { ...truth, final: store };
    const end = (final: Trace["final"]) =>
      judge({ ledger: shown, store, traces: [both, { ...truth, reader: "two", final }] });
    expect(
      end([
        ["b", 0],
        ["d", 1],
      ]).outOfOrder,
    ).toEqual(["two: the order in the end"]);
    expect(
      end([
        ["d", 0],
        ["b", 0],
      ]).stale,
    ).toEqual(["two: d stands at ⟦0⟧ in the end, not at ⟦1⟧"]);
  });

  it("finds a post that moved, or stands where none that was sent later may", () => {
    expect(verdict({ steps: [step(1, a(0)), step(6, a("hidden", 7), b(0))] }).outOfOrder).toEqual([
      "two: a moved from 1 to 7",
    ]);
    const swapped = truth.steps.map((one) => ({
      ...one,
      sightings: one.sightings.map((seen) => (seen.id === "a" ? { ...seen, at: 3 } : seen)),
    }));
    const traces = [{ ...truth, steps: swapped }];
    expect(judge({ ledger, store: [["b", 0]], traces }).outOfOrder).toEqual([
      "a stands after a post that was sent when it was there",
    ]);
  });

  it("finds what a reader noted itself", () => {
    expect(verdict({ doubled: ["a"], misplaced: ["b"] })).toMatchObject({
      doubled: ["two: a"],
      outOfOrder: ["two: b"],
    });
  });

  it("finds a store that lacks what it acknowledged, or has what nobody wrote", () => {
    const of = (store: Evidence["store"]) => judge({ ledger, store, traces: [] });
    expect(of([]).lost).toEqual(["store: b"]);
    expect(
      of([
        ["b", 0],
        ["c", 0],
      ]).stale,
    ).toEqual(["store: c should be removed"]);
    expect(
      of([
        ["b", 0],
        ["x", 0],
      ]).doubled,
    ).toEqual(["store: x was made by nobody's answered request"]);
  });

  it("tells how long readers took to have what was acknowledged by a moment", () => {
    const slow = { ...truth, steps: [step(0), step(40, a(1), b(0))] };
    const asleep = { ...truth, away: [[20, 400]] as const };
    const late = { ...truth, steps: [step(90, b(0))] };
    const never = { ...truth, steps: [step(0), step(1, a(0))] };
    expect(timesToEquality(ledger, [truth, slow, asleep, late, never], 31)).toEqual([
      0,
      370,
      Number.POSITIVE_INFINITY,
    ]);
  });

  it("takes the number for it that a post came and went while a reader was away", () => {
    const steps = [step(0), step(6, a("hidden"), b(0))];
    expect(timesToEquality(ledger, [truth, { ...truth, steps }], 45)).toEqual([0, 16]);
  });

  it("takes the number of what came later, too, when nobody has seen what was due", () => {
    // x was edited and taken away in one frame: a page that never had it shows nothing of that.
    const more = new Map([
      ...ledger,
      ["x", [change("shown", 42), change("shown", 44), change("removed", 48)]],
    ]);
    const told = step(5, a("hidden"), { id: "x", seen: "removed" });
    const steps = [...truth.steps.slice(0, 5), told, truth.steps[6]!];
    const page = { ...truth, reader: "Chromium" };
    expect(judge({ ledger: more, store: [["b", 0]], traces: [{ ...truth, steps }, page] })).toEqual(NOTHING);
    expect(timesToEquality(more, [{ ...truth, steps }, page], 45)).toEqual([6, 6]);
  });
});

describe("how long a reader lacked something", () => {
  const longest = (...steps: Trace["steps"]) => staleness(ledger, [truth, { ...truth, steps }])[1];

  it("is counted from the answer to the newsroom until the reader has it, or something newer", () => {
    expect(staleness(ledger, [truth])).toEqual([1]);
    // b came at 41, 21 after it was acknowledged.
    expect(
      longest(step(0), step(1, a(0)), step(4, a(1), b(0), c(0)), step(6, a("hidden"), c("removed"))),
    ).toBe(21);
    // The first version of a was never seen; what took its place came at 31.
    expect(longest(step(0), step(3, a(1), b(0)), step(4, c(0)), step(6, a("hidden"), c("removed")))).toBe(21);
  });

  it("leaves out what was there before the reader came, and takes the number for what came and went unseen", () => {
    expect(longest(step(5, a("hidden"), b(0), c(0)), step(6, c("removed")))).toBe(1);
    expect(longest(step(0), step(2, a(0), b(0)), step(6, a("hidden")))).toBe(31);
  });

  it("leaves out that a hidden post was hidden anew", () => {
    const twice = new Map([["a", [change("hidden", 10), change("hidden", 20), change("shown", 50)]]]);
    const steps = [step(0), step(1, a("hidden")), step(5, a(2))];
    expect(staleness(twice, [{ ...truth, steps }])).toEqual([1]);
  });

  it("never ends for one that never got it", () => {
    expect(longest(step(0), step(1, a(0)), step(5, a("hidden"), c(0)))).toBe(Number.POSITIVE_INFINITY);
  });
});
