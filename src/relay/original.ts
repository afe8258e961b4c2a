/** Readers with Wagtail Live's own script. */
import type { IncomingMessage } from "node:http";
import { textFrame, wsTransport } from "../adapters/ws-frames.ts";
import type { Transport } from "../hub/connection.ts";

const NOTHING = Buffer.alloc(0);

/**
 * Frames as Wagtail Live's servers send them: renders of `show` and `content`, and removals. What is none (a heartbeat, a
 * reset) they are not sent.
 */
export const originalTransport: Transport<Buffer> = {
  knowsNoReset: true,
  join: (frames) => Buffer.concat(frames),
  encode(text) {
    if (text.startsWith('{"renders":{},"removals":[]')) return NOTHING;
    // In the JSON of a content every quote is escaped: what is found is no content.
    return textFrame(text.replace(/,"at":-?\d+}/g, "}").replace(/,"cursor":"[^"]*"}$/, "}"));
  },
};

/** Our client always names its cursor, if it be an empty one. */
export function transportOfReader(request: IncomingMessage): Transport<Buffer> {
  return /[?&]cursor=/.test(request.url ?? "") ? wsTransport : originalTransport;
}
