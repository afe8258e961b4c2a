import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pieSocketRoom, pusherChannel } from "../../src/client/hosted-channels.ts";
import { isId } from "../../src/protocol.ts";

const SERVICES = [
  {
    name: "Pusher",
    of: pusherChannel,
    mark: "=",
    allowed: /^(?!private-|presence-|cache-)[A-Za-z0-9_\-=@,.;]+$/,
  },
  { name: "PieSocket", of: pieSocketRoom, mark: "_", allowed: /^[A-Za-z0-9_-]+$/ },
];

/** Undoes what the documents say: the mark and two digits are a byte of UTF-8. */
function idOf(name: string, mark: string): string {
  const bytes: number[] = [];
  for (let i = 0; i < name.length; i++) {
    const isEscape = name[i] === mark && /^[0-9A-F]{2}/.test(name.slice(i + 1));
    bytes.push(isEscape ? Number.parseInt(name.slice(i + 1, i + 3), 16) : name.charCodeAt(i));
    if (isEscape) i += 2;
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

describe.each(SERVICES)("a page at $name", ({ of, mark, allowed }) => {
  test("is called what it is called here, where that can be", () => {
    for (const id of ["finals", "-100123", "C024BE91L", "my_page"]) expect(of(id)).toBe(id);
  });

  const ids = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
    fc.stringMatching(/^[=_A-F0-9é]{1,12}$/),
    fc.constantFrom("private-x", "presence-x", "cache-x", "private-encrypted-x"),
  );

  test("any id has a name that the service allows, and the name tells the id", () => {
    fc.assert(
      fc.property(ids.filter(isId), (id) => {
        expect(of(id)).toMatch(allowed);
        expect(idOf(of(id), mark)).toBe(id);
      }),
      { numRuns: 2_000 },
    );
  });
});

test("the documents' examples", () => {
  expect(pusherChannel("été 2")).toBe("=C3=A9t=C3=A9=202");
  expect(pusherChannel("private-x")).toBe("=70rivate-x");
  expect(pieSocketRoom("cup final")).toBe("cup_20final");
  expect(pieSocketRoom("a_20b")).toBe("a_5F20b");
});
