import { expect, it } from "vitest";
import { decodeAnnouncement, encodeAnnouncement } from "../../src/buses/encoding.ts";
import type { Announcement } from "../../src/protocol.ts";

const POST = { show: true, content: '<p>"Goal"\u2028💥</p>', at: 3 };

it.each<Announcement>([
  { cursor: "k3Zq.18" },
  { renders: new Map([["__proto__", POST]]), removals: [], cursor: "k3Zq.18" },
  { renders: new Map(), removals: ["10", "9"], cursor: "k3Zq.18" },
  { renders: new Map([["bare", { ...POST, content: '"bare":true}' }]]), removals: ["6"], cursor: "k3Zq.18" },
])("%j comes back as it was", (announcement) => {
  expect(decodeAnnouncement(encodeAnnouncement(announcement))).toEqual(announcement);
});

it("a cursor alone is, to the byte, what other programs may send", () => {
  expect(encodeAnnouncement({ cursor: "e.8" })).toBe(
    '{"renders":{},"removals":[],"cursor":"e.8","bare":true}',
  );
});

it("an update without content is its cursor alone, however it is spelled", () => {
  for (const text of [
    '{"renders":{},"removals":[],"cursor":"e.8"}',
    '{ "bare": true, "renders": {}, "removals": [], "cursor": "e.8" }',
  ]) {
    expect(decodeAnnouncement(text)).toEqual({ cursor: "e.8" });
  }
});

it.each([
  "",
  "no JSON",
  "null",
  "[]",
  "{}",
  '{"renders":{},"removals":[]}',
  '{"renders":{},"removals":[],"cursor":"nonsense","bare":true}',
  '{"renders":{"7":{"show":true,"content":"no place"}},"removals":[],"cursor":"e.8"}',
  '{"renders":{},"removals":[7],"cursor":"e.8"}',
])("%j is refused", (text) => {
  expect(() => decodeAnnouncement(text)).toThrow(expect.objectContaining({ code: "invalid" }));
});
