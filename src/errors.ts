/**
 * The one error class of Tidings, and its codes. Codes are stable: match on `code`, never on the message.
 *
 * | code | meaning | HTTP status |
 * | --- | --- | --- |
 * | `invalid` | an argument or field is malformed; `field` names it | 400 |
 * | `unauthorized` | no token, a wrong one, or a session that has ended | 401 |
 * | `forbidden` | the origin may not do this | 403 |
 * | `not_found` | no such page, post, picture or path | 404 |
 * | `too_slow` | the body was not in in time | 408 |
 * | `conflict` | it exists already, or the channel is a stored page | 409 |
 * | `stale` | `If-Match` names a version that is no longer the newest | 412 |
 * | `too_large` | the body or field is over its limit; `field` may name it | 413 |
 * | `unsupported` | a media type or a picture format that is not taken | 415 |
 * | `key_reused` | an `Idempotency-Key` came back with another request | 422 |
 * | `too_many` | a limit on how often or how many; try later | 429 |
 * | `closed` | used after `close()`, or the server is shutting down | 503 |
 * | `unavailable` | a log, store or bus cannot be reached now | 503 |
 * | `settings` | a setting is wrong (the CLI exits with 2) | – |
 * | `internal` | a defect of ours | 500 |
 */
export type ErrorCode =
  | "invalid"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "too_slow"
  | "conflict"
  | "stale"
  | "too_large"
  | "unsupported"
  | "key_reused"
  | "too_many"
  | "closed"
  | "unavailable"
  | "settings"
  | "internal";

export interface TidingsErrorOptions {
  /** Where it happened, for the message's prefix: `"sqlite store"` gives `[tidings] [sqlite store] …`. */
  readonly where?: string;
  /** The field that is wrong, as a path: `"content.0.value"`. */
  readonly field?: string;
  readonly cause?: unknown;
}

/**
 * @example
 * throw new TidingsError("not_found", "there is no page \"finals\"", { where: "sqlite store" });
 */
export class TidingsError extends Error {
  override readonly name = "TidingsError";
  readonly code: ErrorCode;
  readonly field: string | undefined;
  /** The message without its prefix: what an API's user is shown. */
  readonly detail: string;

  constructor(code: ErrorCode, detail: string, options: TidingsErrorOptions = {}) {
    const where = options.where === undefined ? "" : `[${options.where}] `;
    super(`[tidings] ${where}${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.detail = detail;
  }
}
