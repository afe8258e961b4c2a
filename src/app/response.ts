/** The responses of a server that strangers ask: Node makes one for each request, also for those that it answers by itself. */
import { type IncomingMessage, ServerResponse } from "node:http";
import { countUnanswered } from "./turns.ts";
import { holdAnswer } from "./untaken.ts";

/** For `http.createServer({ ServerResponse: BoundedResponse })`. */
export class BoundedResponse<
  Request extends IncomingMessage = IncomingMessage,
> extends ServerResponse<Request> {
  constructor(request: Request, ...options: []) {
    super(request, ...options);
    countUnanswered(this);
  }

  override end(...given: unknown[]): this {
    const [chunk, ...rest] = given;
    if (typeof chunk !== "string" && !(chunk instanceof Uint8Array)) return super.end(...(given as []));
    // Of a string there would be two as long as it is not taken: itself, and what it is in UTF-8.
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    holdAnswer(this, bytes);
    return super.end(...([bytes, ...rest] as [Uint8Array]));
  }
}
