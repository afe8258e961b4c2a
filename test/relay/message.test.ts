import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isId } from "../../src/protocol.ts";
import { MAX_MESSAGE_BYTES, readMessage } from "../../src/relay/message.ts";
import { pythonJson } from "../support/wagtail.ts";

const read = (text: string | Uint8Array) => readMessage(typeof text === "string" ? Buffer.from(text) : text);

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

  test.each([
    ["no JSON", "hello"],
    ["half of it", '{"renders": {"a": {"show": tr'],
    ["another shape", "[]"],
    ["null", "null"],
    ["a number", "7"],
    ["no removals", '{"renders": {}}'],
    ["renders in a list of texts", '{"renders": ["a"], "removals": []}'],
    ["a render without content", '{"renders": {"a": {"show": true}}, "removals": []}'],
    ["show as a text", '{"renders": {"a": {"show": "yes", "content": ""}}, "removals": []}'],
    ["an id that is none", '{"renders": {"a/b": {"show": true, "content": ""}}, "removals": []}'],
    ["removals of numbers", '{"renders": {}, "removals": [7]}'],
    ["bytes that are no text", Buffer.from([0x80, 0x81, 0xff])],
    ["too much", Buffer.alloc(MAX_MESSAGE_BYTES + 1, " ")],
    ["nothing", ""],
  ])("%s is refused by name", (_name, text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("nothing that comes is worse than refused", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), fc.uint8Array()), (data) => {
        try {
          read(data);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid" });
        }
      }),
      { numRuns: 500 },
    );
  });
});
