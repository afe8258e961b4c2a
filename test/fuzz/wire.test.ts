import fc from "fast-check";
import { describe, expect } from "vitest";
import { placeOf } from "../../src/adapters/paths.ts";
import { decodeAnnouncement, encodeAnnouncement } from "../../src/buses/encoding.ts";
import { pieSocketRoom, pusherChannel } from "../../src/client/hosted-channels.ts";
import { resolveCursor } from "../../src/logs/history.ts";
import {
  decodeUpdate,
  draftUpdate,
  type Entry,
  encodeUpdate,
  formatCursor,
  inPlace,
  isId,
  parseCursor,
} from "../../src/protocol.ts";
import { originalTransport } from "../../src/relay/original.ts";
import { textOf } from "../support/frame.ts";
import { endless, fuzz, inTime, refusing, spell, texts } from "./fuzz.ts";

const ids = fc.oneof(texts, fc.constantFrom("__proto__", "7", "-100123", "été")).filter(isId);
const cursors = fc
  .tuple(fc.stringMatching(/^[\w-]{1,64}$/), fc.maxSafeNat())
  .map(([epoch, seq]) => formatCursor(epoch, seq));
const renders = fc
  .uniqueArray(fc.tuple(ids, fc.record({ show: fc.boolean(), content: texts, at: fc.maxSafeInteger() })), {
    selector: ([id]) => id,
    maxLength: 6,
  })
  .map((list) => new Map(list));
const RENDER = { show: true, content: "", at: 1 };
const entries: fc.Arbitrary<Entry> = fc.record({
  renders,
  removals: fc.uniqueArray(ids, { maxLength: 4 }),
  cursor: cursors,
});

/** With a post that is shown, at least. */
const shownPosts = fc.tuple(entries, ids, texts).map(([{ renders, removals, cursor }, id, content]) => ({
  renders: new Map([...renders, [id, { show: true, content, at: 1 }] as const]),
  removals,
  cursor,
  id,
}));
/** What makes no update of one, by the field. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  cursor: [undefined, null, 5, "", "e", "e.", ".1", "e.01", "e.-1", "é.1", "e.9007199254740992"],
  renders: [undefined, null, 5, "a", [{ id: "a", ...RENDER }], { "a/b": RENDER }, { "": RENDER }],
  removals: [null, 5, "a", {}, [5], [null], [""], ["a/b"], [".."], ["a\u0000"]],
  show: [undefined, null, 1, "true"],
  content: [undefined, null, 5, {}],
  at: [undefined, null, "1", 1.5, 2 ** 53],
  version: [null, "1", 1.5],
};
const wrongs = fc.constantFrom(
  ...Object.entries(WRONG).flatMap(([field, values]) => values.map((value) => [field, value] as const)),
);

function spoil(update: Entry, id: string, field: string, value: unknown): string {
  const frame = JSON.parse(encodeUpdate(update)) as Record<string, unknown>;
  const place = field in frame ? frame : (frame.renders as Record<string, object>)[id];
  return JSON.stringify(frame, (_, each) => (each === place ? { ...each, [field]: value } : each));
}

/** As readers and other processes get it: hidden posts without their text, text that every log can keep. */
function asSent({ renders, removals, cursor }: Entry): Entry {
  const { renders: drafts } = draftUpdate(new Map(renders));
  const placed = new Map([...drafts].map(([id, draft]) => [id, { ...draft, at: renders.get(id)!.at }]));
  return { renders: inPlace(placed), removals, cursor };
}

describe("cursors", () => {
  fuzz("what is one reads the same again; what is none is null", texts, (text) => {
    const parts = parseCursor(text);
    if (parts) expect(formatCursor(parts.epoch, parts.seq)).toBe(text);
  });
  fuzz(
    "hold only when their number is one that their epoch gave out",
    fc.tuple(cursors, fc.nat(20), fc.nat(20), fc.nat(20)),
    ([cursor, first, more, floor]) => {
      const { epoch, seq } = parseCursor(cursor)!;
      const history = {
        epochs: [
          [epoch, 0],
          ["next", first + 1],
        ] as [string, number][],
        seq: first + 1 + more,
        floor,
      };
      const at = resolveCursor(history, cursor);
      if (epoch !== "next") expect(at).toBe(seq >= floor && seq <= first ? seq : null);
    },
  );
});

describe("updates", () => {
  fuzz("come back from the wire as they were", entries, (entry) => {
    const sent = asSent(entry);
    expect(decodeUpdate(encodeUpdate(sent))).toEqual({
      ...sent,
      renders: new Map(
        [...sent.renders].map(([id, render]) => [id, render.show ? render : { ...render, content: "" }]),
      ),
    });
  });
  fuzz("come back from the bus as they were, or as their cursor", entries, (entry) => {
    const sent = asSent(entry);
    const heard = decodeAnnouncement(encodeAnnouncement(sent));
    expect(heard).toEqual(sent.renders.size + sent.removals.length > 0 ? sent : { cursor: sent.cursor });
    expect(decodeAnnouncement(encodeAnnouncement({ cursor: sent.cursor }))).toEqual({ cursor: sent.cursor });
  });
  fuzz("of which no text of a hidden post is sent", fc.tuple(ids, fc.nat()), ([id, at]) => {
    const secret = "hidden-text-0123456789";
    const update = asSent({
      renders: new Map([[id, { show: false, content: secret, at }]]),
      removals: [],
      cursor: "e.1",
    });
    expect(encodeUpdate(update)).not.toContain(secret);
    expect(
      encodeUpdate({ ...update, renders: new Map([[id, { show: false, content: secret, at }]]) }),
    ).not.toContain(secret);
  });
  fuzz("with something wrong are refused", fc.tuple(shownPosts, wrongs, fc.nat(40)), ([sent, wrong, n]) => {
    for (const text of [spoil(sent, sent.id, ...wrong), encodeUpdate(sent).slice(0, -1 - n)]) {
      for (const read of [decodeUpdate, decodeAnnouncement]) {
        expect(() => read(text)).toThrow(expect.objectContaining({ code: "invalid" }));
      }
    }
  });
  fuzz("of strangers are refused, or read the same again", texts, (text) => {
    const read = refusing(["invalid"], () => decodeUpdate(text));
    expect(refusing(["invalid"], () => decodeAnnouncement(text))?.cursor).toBe(read?.cursor);
    if (read) expect(asSent(decodeUpdate(encodeUpdate(read)))).toEqual(asSent(read));
    if (!/"cursor"\s*:\s*"[\w-]+\.\d+"/.test(text.replaceAll("\\u", ""))) expect(read).toBeUndefined();
  });
  fuzz(
    "are checked whatever they are made of",
    fc.tuple(fc.anything(), fc.anything()),
    ([renders, removals]) => {
      const draft = refusing(["invalid"], () => draftUpdate(renders, removals));
      for (const [id, { show, content }] of draft?.renders ?? []) {
        expect(isId(id)).toBe(true);
        if (!show) expect(content).toBe("");
      }
      expect(draft?.removals.every(isId) ?? true).toBe(true);
    },
  );
  fuzz(
    "lose their places and cursors, and nothing else, for unchanged clients of Wagtail Live",
    entries,
    (entry) => {
      const sent = asSent(entry);
      const text = textOf(originalTransport.encode(encodeUpdate(sent), sent.cursor));
      if (sent.renders.size + sent.removals.length === 0) return expect(text).toBe("");
      const frame = JSON.parse(encodeUpdate(sent));
      delete frame.cursor;
      // JSON itself gives objects an own `__proto__`: as readers of the text see it.
      for (const render of Object.values<{ at?: number }>(frame.renders)) delete render.at;
      expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(frame));
    },
  );
});

describe("paths of channels", () => {
  const kinds = fc.constantFrom("ws", "sse", "updates" as const);
  fuzz(
    "lead to the channel and the cursor that were meant",
    fc.tuple(kinds, ids, fc.oneof(cursors, texts)),
    ([kind, id, cursor]) => {
      const url = `/${kind}/channel/${encodeURIComponent(id)}/?${new URLSearchParams({ cursor })}`;
      expect(placeOf(url, "", kind)).toMatchObject({ channel: id, cursor: cursor.toWellFormed() });
      expect(placeOf(`/live${url}`, "/live", kind)?.channel).toBe(id);
    },
  );
  fuzz("lead where they say, or nowhere", fc.tuple(kinds, kinds, texts), ([kind, asked, text]) => {
    for (const url of [
      text,
      `/${kind}/channel/${text}`,
      `/${kind}/channel/${text}/`,
      `/${kind}/channel/a/${text}`,
      `${text}/${kind}/channel/a/`,
      `/${kind}/channel/a/?cursor=${text}`,
    ]) {
      const parts = url.split("?", 1)[0]!.split("/");
      const [, name, word, segment = ""] = parts;
      const isOne = parts.length === 5 && parts[0] === "" && parts[4] === "" && word === "channel" && segment;
      const channel = isOne && name === asked ? decoded(segment) : undefined;
      expect(placeOf(url, "", asked)?.channel).toBe(channel);
      expect(placeOf(`/live${url}`, "/live", asked)?.channel).toBe(channel);
    }
  });
});

/** No channel's id, when it is no percent-encoded UTF-8. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return "";
  }
}

describe("names at hosted services", () => {
  fuzz("of two pages are two, of what the service takes", fc.tuple(ids, ids), ([one, other]) => {
    for (const nameOf of [pusherChannel, pieSocketRoom]) {
      expect(nameOf(one) === nameOf(other)).toBe(one === other);
    }
    expect(pusherChannel(one)).toMatch(/^[\w\-=@,.;]+$/);
    expect(pieSocketRoom(one)).toMatch(/^[\w-]+$/);
  });
});

describe("100 kB of anything", () => {
  fuzz(
    "is read in time",
    endless,
    (pieces) => {
      const text = spell(pieces);
      const reads: (() => unknown)[] = [
        () => isId(text),
        () => parseCursor(text),
        () => decodeUpdate(text),
        () => decodeAnnouncement(text),
        () => placeOf(text),
        () => placeOf(`/ws/channel/${text}/?cursor=${text}`),
        () => draftUpdate([{ id: text, show: true, content: text }]),
        () =>
          originalTransport.encode(
            `{"renders":{"a":{"show":true,"content":${JSON.stringify(text)},"at":1}},"removals":[],"cursor":"e.1"}`,
            "e.1",
          ),
        () => pusherChannel(text),
        () => pieSocketRoom(text),
      ];
      for (const read of reads) {
        inTime(() => refusing(["invalid"], read));
      }
    },
    0.02,
  );
});
