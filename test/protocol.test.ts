import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeUpdate,
  draftUpdate,
  encodeHeartbeat,
  encodeReset,
  encodeRetry,
  encodeUpdate,
  formatCursor,
  hiddenShell,
  isId,
  parseCursor,
} from "../src/protocol.ts";

describe("ids", () => {
  it.each(["a", "-100123", "été", "__proto__", "a b", "💥", "...", "x".repeat(255), "%2F", "a.b"])(
    "%j is one",
    (id) => {
      expect(isId(id)).toBe(true);
    },
  );

  it.each([
    "",
    ".",
    "..",
    "a/b",
    "/",
    "a\u0000",
    "\n",
    "\u007f",
    "\u0085",
    "\ud800",
    "a\udc00",
    "x".repeat(256),
    null,
    undefined,
    7,
    {},
    ["a"],
  ])("%j is none", (id) => {
    expect(isId(id)).toBe(false);
  });
});

describe("cursors", () => {
  it("are taken apart and put together", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\w-]{1,64}$/), fc.maxSafeNat(), (epoch, seq) => {
        expect(parseCursor(formatCursor(epoch, seq))).toEqual({ epoch, seq });
      }),
    );
  });

  it.each([
    "",
    ".",
    "a",
    "a.",
    ".1",
    "a.-1",
    "a.1.5",
    "a.01",
    "a.+1",
    "a.1e3",
    "a. 1",
    "a.1 ",
    "a b.1",
    "é.1",
    `${"x".repeat(65)}.1`,
    "a.9007199254740993",
    "a.99999999999999999",
    "a.1\n",
    null,
    undefined,
  ])("%j is none", (text) => {
    expect(parseCursor(text)).toBe(null);
  });
});

describe("frames", () => {
  it("an update comes out as it went in, whatever ids and content are", () => {
    const id = fc.oneof(fc.constantFrom("__proto__", "constructor", "10", "9"), fc.string().filter(isId));
    const render = fc.record({
      show: fc.constant(true),
      content: fc.string({ unit: "binary" }),
      at: fc.nat(),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(id, render), { selector: ([id]) => id }),
        fc.array(id),
        (renders, removals) => {
          const sorted = [...renders].sort(([, a], [, b]) => a.at - b.at);
          const unique = [...new Set(removals)];
          const entry = { renders: new Map(sorted), removals: unique, cursor: "e.7" };
          expect(decodeUpdate(encodeUpdate(entry))).toEqual({
            ...entry,
            renders: new Map(
              sorted.map(([id, render]) => [
                id,
                { ...render, content: render.content.toWellFormed().replaceAll("\0", "\ufffd") },
              ]),
            ),
          });
        },
      ),
    );
  });

  it("are what PROTOCOL.md says, to the byte", () => {
    const renders = new Map([["7", { show: true, content: "<p>Goal!</p>", at: 12 }]]);
    expect(encodeUpdate({ renders, removals: ["6"], cursor: "k3Zq.18" })).toBe(
      '{"renders":{"7":{"show":true,"content":"<p>Goal!</p>","at":12}},"removals":["6"],"cursor":"k3Zq.18"}',
    );
    expect(encodeUpdate({ renders: new Map(), removals: [] })).toBe('{"renders":{},"removals":[]}');
    expect(encodeHeartbeat("e.1")).toBe('{"renders":{},"removals":[],"cursor":"e.1"}');
    expect(encodeReset("e.1")).toBe('{"renders":{},"removals":[],"cursor":"e.1","reset":true}');
    expect(encodeRetry(500, 5000)).toBe('{"renders":{},"removals":[],"retry":[500,5000]}');
  });

  it("hidden text never leaves, even when a log kept it", () => {
    const renders = new Map([['"<a>', { show: false, content: "secret", at: 1 }]]);
    const frame = encodeUpdate({ renders, removals: [] });
    expect(frame).not.toContain("secret");
    expect(JSON.parse(frame).renders['"<a>'].content).toBe(hiddenShell('"<a>'));
    expect(hiddenShell('"<a>&')).toBe('<div class="live-post" data-post-id="&#34;&#60;a&#62;&#38;"></div>');
  });
});

describe("drafts", () => {
  it("take renders by id, as a Map and as a list", () => {
    const render = { show: true, content: "x" };
    const expected = new Map([["a", render]]);
    expect(draftUpdate({ a: render }).renders).toEqual(expected);
    expect(draftUpdate(new Map([["a", render]])).renders).toEqual(expected);
    expect(draftUpdate([{ id: "a", ...render }]).renders).toEqual(expected);
    expect(
      draftUpdate(JSON.parse('{"__proto__":{"show":true,"content":"x"}}')).renders.has("__proto__"),
    ).toBe(true);
  });

  it.each<[unknown, unknown, string]>([
    [null, [], "renders"],
    ["x", [], "renders"],
    [{ a: null }, [], "renders.a"],
    [{ a: { content: "x" } }, [], "renders.a.show"],
    [{ a: { show: 1, content: "x" } }, [], "renders.a.show"],
    [{ a: { show: true } }, [], "renders.a.content"],
    [{ a: { show: true, content: "x", version: 1.5 } }, [], "renders.a.version"],
    [{ "a/b": { show: true, content: "x" } }, [], "renders.a/b"],
    [[{ show: true, content: "x" }], [], "renders.0.id"],
    [{}, "a", "removals"],
    [{}, ["a", 7], "removals.1"],
  ])("%j, %j is refused, naming %s", (renders, removals, field) => {
    expect(() => draftUpdate(renders, removals)).toThrow(expect.objectContaining({ code: "invalid", field }));
  });

  it("keep no text of hidden posts, and only text that any database gives back", () => {
    expect(draftUpdate({ a: { show: false, content: "secret" } }).renders.get("a")).toEqual({
      show: false,
      content: "",
    });
    expect(draftUpdate({ a: { show: true, content: "\ud800 \0" } }).renders.get("a")!.content).toBe(
      "\ufffd \ufffd",
    );
  });
});
