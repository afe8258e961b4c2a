import { describe, expect, test } from "vitest";
import { encodeHeartbeat, encodeReset, encodeRetry, encodeUpdate } from "../../src/protocol.ts";
import { originalTransport } from "../../src/relay/original.ts";
import { textOf } from "../support/frame.ts";

const sent = (text: string) => textOf(originalTransport.encode(text, ""));

describe("a reader with the original script", () => {
  test("gets renders of show and content, and removals, in their order", () => {
    const tricky = ',"at":5},"cursor":"e.9"} \\",\\"at\\":5}';
    const update = {
      renders: new Map([
        ["10", { show: true, content: tricky, at: 1 }],
        ["9", { show: false, content: "", at: -2 }],
      ]),
      removals: ["x"],
      cursor: "e.2",
    };
    expect(sent(encodeUpdate(update))).toBe(
      `{"renders":{"10":{"show":true,"content":${JSON.stringify(tricky)}},` +
        `"9":{"show":false,"content":"<div class=\\"live-post\\" data-post-id=\\"9\\"></div>"}},"removals":["x"]}`,
    );
  });

  test("gets a removal alone", () => {
    expect(sent(encodeUpdate({ renders: new Map(), removals: ["x"], cursor: "e.2" }))).toBe(
      '{"renders":{},"removals":["x"]}',
    );
  });

  test.each([encodeHeartbeat("e.1"), encodeReset("e.1"), encodeRetry(1, 2)])("is not sent %s", (text) => {
    expect(sent(text)).toBe("");
  });
});
