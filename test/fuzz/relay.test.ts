import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect } from "vitest";
import { type Draft, draftUpdate, isId } from "../../src/protocol.ts";
import { readMessage } from "../../src/relay/message.ts";
import { channelsSource, wagtailSource } from "../../src/relay/sources.ts";
import { endless, fuzz, inTime, refusing, spell, texts } from "./fuzz.ts";

const ids = fc
  .oneof(texts, fc.nat(1_000).map(String), fc.constantFrom("__proto__", "constructor"))
  .filter(isId);
const drafts = fc
  .tuple(
    fc.uniqueArray(fc.tuple(ids, fc.record({ show: fc.boolean(), content: texts })), {
      selector: ([id]) => id,
      maxLength: 6,
    }),
    fc.uniqueArray(ids, { maxLength: 4 }),
  )
  .map(([renders, removals]) => draftUpdate(new Map(renders), removals));
const channels = channelsSource("asgi");
const bytesOf = (text: string | Buffer) => Buffer.from(text as string);

describe("messages of a Wagtail Live site", () => {
  fuzz("come back as they were, posts in their order", drafts, (draft) => {
    expectSame(wagtailSource.read(bytesOf(wagtailSource.write(draft)))?.draft, draft);
  });
  fuzz("over Django Channels, too", drafts, (draft) => {
    // JavaScript's objects would put them first, and these write the message; Python's, in tests of their own, do not.
    const renders = new Map([...draft.renders].filter(([id]) => !/^\d+$/.test(id) && id !== "__proto__"));
    const plain = { renders, removals: draft.removals };
    expectSame(channels.read(bytesOf(channels.write(plain)))?.draft, plain);
  });
  const anything = fc.oneof(
    texts.map(bytesOf),
    fc.uint8Array({ maxLength: 200 }),
    fc.anything().map((value) => bytesOf(JSON.stringify(value) ?? "")),
    fc
      .record({ renders: fc.anything(), removals: fc.anything() })
      .map((value) => bytesOf(JSON.stringify(value))),
  );
  fuzz("that are none are refused, and what is wrong is told in one line", anything, (data) => {
    check(() => wagtailSource.read(data));
    check(() => channels.read(data));
  });
  const events = fc.record(
    { type: fc.constantFrom("update", "other"), renders: fc.jsonValue(), removals: fc.jsonValue() },
    { requiredKeys: ["type"] },
  );
  // The decoder takes no key of that name; no post of Django has it.
  const known = events.filter((event) => !JSON.stringify(event).includes("__proto__"));
  fuzz("of another kind are for somebody else", known, (event) => {
    const read = check(() => channels.read(encode(event)));
    if (event.type === "other") expect(read).toBeNull();
  });
  fuzz(
    "one post that is none keeps the others from nobody",
    fc.tuple(drafts, ids, fc.jsonValue()),
    ([draft, id, junk]) => {
      const text = String(wagtailSource.write(draft));
      const isThere = draft.renders.has(id) || draft.renders.size === 0;
      if (isThere) return;
      const spoilt = text.replace(
        '{"renders": {',
        () => `{"renders": {${JSON.stringify(id)}: ${JSON.stringify(junk)}, `,
      );
      const { draft: read } = readMessage(bytesOf(spoilt));
      for (const [known, render] of draft.renders) expect(read.renders.get(known)).toEqual(render);
    },
  );
  fuzz(
    "of 100 kB are read in time",
    endless,
    (pieces) => {
      const text = spell(pieces);
      for (const message of [
        text,
        JSON.stringify({ renders: { 7: { show: true, content: text }, [text]: text } }),
      ]) {
        inTime(() => check(() => wagtailSource.read(bytesOf(message))));
        inTime(() => check(() => channels.read(bytesOf(message))));
      }
      inTime(() =>
        check(() => channels.read(encode({ type: "update", renders: { 7: text }, removals: [text] }))),
      );
    },
    0.02,
  );
});

function check<T extends { draft: Draft; leftOut?: { detail: string } } | null>(
  read: () => T,
): T | undefined {
  const message = refusing(["invalid"], read);
  if (message) {
    expect([...message.draft.renders.keys(), ...message.draft.removals].every(isId)).toBe(true);
    if (message.leftOut) expect(message.leftOut.detail).toMatch(/^[^\n\r]{1,2500}$/);
  }
  return message;
}

function expectSame(read: Draft | undefined, { renders, removals }: Draft): void {
  expect(read?.removals).toEqual(removals);
  expect([...(read?.renders ?? [])]).toEqual([...renders]);
}
