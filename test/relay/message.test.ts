import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isId } from "../../src/protocol.ts";
import { MAX_MESSAGE_BYTES, readMessage } from "../../src/relay/message.ts";
import { pythonJson } from "../support/wagtail.ts";

const readWhole = (text: string | Uint8Array) =>
  readMessage(typeof text === "string" ? Buffer.from(text) : text);

function read(text: string | Uint8Array) {
  const { draft, leftOut } = readWhole(text);
  expect(leftOut).toBeUndefined();
  return draft;
}

describe("a site's message", () => {
  test("is read as the site wrote it", () => {
    const draft = read(
      pythonJson({
        renders: [
          ["b", true, '<p>Tör — 🎉 "quoted" \\ </p>'],
          ["a", true, "a"],
        ],
        removals: ["x", "y"],
      }),
    );
    expect([...draft.renders]).toEqual([
      ["b", { show: true, content: '<p>Tör — 🎉 "quoted" \\ </p>' }],
      ["a", { show: true, content: "a" }],
    ]);
    expect(draft.removals).toEqual(["x", "y"]);
  });

  test("keeps the order of ids that look like integers", () => {
    const ids = ["10", "9", "b", "2", "__proto__", "1"];
    const draft = read(pythonJson({ renders: ids.map((id) => [id, true, `{"renders":{"7":1}} ${id}`]) }));
    expect([...draft.renders.keys()]).toEqual(ids);
  });

  test("any update comes through whole", () => {
    const id = fc.oneof(
      fc.integer({ min: 0, max: 50 }).map(String),
      fc.string({ minLength: 1, maxLength: 8 }),
    );
    const ids = fc.uniqueArray(id.filter(isId), { maxLength: 12 });
    fc.assert(
      fc.property(ids, fc.string(), (all, content) => {
        const draft = read(pythonJson({ renders: all.map((each) => [each, true, content]) }));
        expect([...draft.renders.keys()]).toEqual(all);
      }),
      { numRuns: 300 },
    );
  });

  test("the text of a hidden post goes no further", () => {
    const draft = read(pythonJson({ renders: [["a", false, "secret"]] }));
    expect(draft.renders.get("a")).toEqual({ show: false, content: "" });
  });

  test("says what the original's script understands, too", () => {
    expect(read('{"renders": {"b": {"show": false}, "a": {"show": false, "content": null}}}')).toEqual({
      renders: new Map(["b", "a"].map((id) => [id, { show: false, content: "" }])),
      removals: [],
    });
    expect(read('{"removals": [7, "x"]}')).toEqual({ renders: new Map(), removals: ["7", "x"] });
  });

  test.each([
    ["a render without content", { b: { show: true } }, ["x"], "renders.b.content must be HTML as a string"],
    ["a render that is none", { b: null }, ["x"], "renders.b must be an object { show, content }"],
    ["a render of a number's id", { 7: { show: true } }, ["x"], "renders.7.content must be HTML as a string"],
    ["an id that is none", { "b/c": { show: true, content: "" } }, ["x"], "renders.b/c must be 1 to 255"],
    ["an id of two lines", { "b\nc": { show: true, content: "" } }, ["x"], "renders.b c must be 1 to 255"],
    ["removals that are none", {}, 7, "removals must be a list of post ids"],
    ["a removal that is none", {}, ["x", { id: 1 }], 'removals.1 must be a post id, not {"id":1}'],
  ])("%s: the rest is taken, and it is named", (_name, renders, removals, told) => {
    const good = { a: { show: true, content: "A" } };
    const text = JSON.stringify({ renders: { ...renders, ...good }, removals });
    const { draft, leftOut } = readWhole(text);
    expect(draft.renders).toEqual(new Map(Object.entries(good)));
    expect(draft.removals).toEqual(removals === 7 ? [] : ["x"]);
    expect(leftOut).toMatchObject({ code: "invalid", detail: expect.stringContaining(told) });
  });

  test("of many mistakes the first are told, and how many more there are", () => {
    const renders = Object.fromEntries(
      Array.from({ length: 1_000 }, (_, i) => [`${i}-${"x".repeat(300)}`, 1]),
    );
    const { leftOut } = readWhole(JSON.stringify({ renders, removals: ["x"] }));
    expect(leftOut!.detail).toMatch(/renders\.4-.*; and 995 more$/);
    expect(leftOut!.detail.length).toBeLessThan(1_500);
  });

  test.each([
    ["no JSON", "hello"],
    ["half of it", '{"renders": {"a": {"show": tr'],
    ["another shape", "[]"],
    ["null", "null"],
    ["a number", "7"],
    ["neither key", '{"render": {}}'],
    ["two wrong keys", '{"renders": 7, "removals": {}}'],
    ["renders in a list of texts", '{"renders": ["a"], "removals": []}'],
    ["a render without content", '{"renders": {"a": {"show": true}}, "removals": []}'],
    ["show as a text", '{"renders": {"a": {"show": "yes", "content": ""}}, "removals": []}'],
    ["an id that is none", '{"renders": {"a/b": {"show": true, "content": ""}}, "removals": []}'],
    ["removals of halves", '{"renders": {}, "removals": [7.5, null]}'],
    ["bytes that are no text", Buffer.from([0x80, 0x81, 0xff])],
    ["too much", Buffer.alloc(MAX_MESSAGE_BYTES + 1, " ")],
    ["nothing", ""],
  ])("%s is refused by name", (_name, text) => {
    expect(() => readWhole(text)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("nothing that comes is worse than refused", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), fc.uint8Array()), (data) => {
        try {
          readWhole(data);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid" });
        }
      }),
      { numRuns: 500 },
    );
  });
});
