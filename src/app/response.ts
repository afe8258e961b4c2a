/** The responses of a server that strangers ask: Node makes one for each request, also for those that it answers by itself. */
import { type IncomingMessage, ServerResponse } from "node:http";
import { countUnanswered } from "./turns.ts";
import { holdAnswer, SMALL_BYTES } from "./untaken.ts";

/** For `http.createServer({ ServerResponse: BoundedResponse })`. */
export class BoundedResponse<
  Request extends IncomingMessage = IncomingMessage,
> extends ServerResponse<Request> {
  constructor(request: Request, ...options: []) {
    super(request, ...options);
    countUnanswered(this);
  }

  override end(...given: unknown[]): this {
    const [chunk, encoding] = given;
    const isText = typeof chunk === "string";
    if (!(isText || chunk instanceof Uint8Array) || chunk.length < SMALL_BYTES)
      return super.end(...(given as []));
    // Of a text there would be two as long as it is not taken: itself, and what it is in bytes.
    const bytes = isText
      ? Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8")
      : chunk;
    holdAnswer(this, bytes);
    return super.end(bytes, ...(given.filter((each) => typeof each === "function") as []));
  }
}
