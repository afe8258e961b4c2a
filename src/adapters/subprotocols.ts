/** No subprotocol is answered (PROTOCOL.md, 2), though Bun and `ws` answer the first that they find asked for. */
import type { IncomingMessage } from "node:http";

const HEADER = "sec-websocket-protocol";

/** Lets `ws` find none, where its options are not ours: call before the upgrade. */
export function askNoneOnNode({ headers }: Pick<IncomingMessage, "headers">): void {
  delete headers[HEADER];
}

/** Lets Bun find none: call before the upgrade. Other runtimes answer none by themselves, and may let nobody change headers. */
export function askNoneOnBun({ headers }: Pick<Request, "headers">): void {
  if ("Bun" in globalThis) headers.delete(HEADER);
}
