import { expect, it } from "vitest";
import { inTurn, valuesOf } from "../../bench/section.ts";

it("values of many turns stand in a column each, in the order of the rows", () => {
  const rows = ["a", "b", "c"].map((id) => ({ id, name: id.toUpperCase() }));
  const values = valuesOf(rows);
  values.add("c", [1, 2]);
  values.add("a", [3, 4]);
  values.add("c", [5, 6]);
  expect(values.rows()).toEqual([
    { id: "a", name: "A", cells: [[3], [4]] },
    {
      id: "c",
      name: "C",
      cells: [
        [1, 5],
        [2, 6],
      ],
    },
  ]);
});

it("every other turn goes the other way round", () => {
  expect([1, 2, 3].map((turn) => inTurn(["a", "b"], turn).join(""))).toEqual(["ab", "ba", "ab"]);
});
