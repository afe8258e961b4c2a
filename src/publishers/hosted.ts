/** What all hosted services have in common: an update goes to them over HTTP, soon or not at all. */
import { setTimeout as sleep } from "node:timers/promises";
import { backoff } from "../client/backoff.ts";
import { TidingsError } from "../errors.ts";
import { type Cursor, encodeReset, type Render } from "../protocol.ts";
import { BaseWebsocketPublisher } from "./publisher.ts";

const ATTEMPT_MS = 5_000;
/** Below the patience of a delivery (30 s): it must not begin with a page's next update while this one is on the way. */
const PATIENCE_MS = 20_000;
/** The longest that a service's `Retry-After` is heeded. */
const MAX_HOLD_MS = 60_000;
/** Of what a service says to a request that it refuses, in characters. */
const MAX_ANSWER = 200;

export interface HostedOptions {
  /** How long the service may take for one attempt, in milliseconds. Default 5 s. */
  readonly attemptMs?: number | undefined;
  /**
   * How long all attempts for one update may take, in milliseconds. Default 20 s. Behind a delivery it must stay below
   * that one's patience (30 s, unless it was told otherwise), or a page's next update overtakes this one.
   */
  readonly patienceMs?: number | undefined;
  /** The longest message that the service takes, in bytes. */
  readonly maxBytes?: number | undefined;
}

/** One request to a service: a POST of JSON. */
export interface HostedRequest {
  readonly url: string | URL;
  readonly body: string;
}

/**
 * Hands each update to a hosted WebSocket service. Tries again after network errors, `429` and `5xx`, never after
 * another refusal. Keeps no queue: of one page, await each `publish` before the next, or use `createDelivery` (as
 * `tidings serve` does). An update that is too large for the service goes as a `reset`: readers ask for it.
 *
 * @example
 * class AblyPublisher extends HostedPublisher {
 *   constructor() {
 *     super("ably publisher", [process.env.ABLY_KEY!]);
 *   }
 *   override request(channelId: string, message: string): HostedRequest {
 *     …
 *   }
 * }
 */
export abstract class HostedPublisher extends BaseWebsocketPublisher {
  readonly #where: string;
  readonly #secrets: readonly string[];
  readonly #attemptMs: number;
  readonly #patienceMs: number;
  readonly #maxBytes: number;
  readonly #closing = new AbortController();
  /** The service asked to be left alone until then. */
  #heldUntil = 0;

  /**
   * @param where for messages: `"pusher publisher"`
   * @param secrets what no message may show, though the service repeats it
   */
  constructor(where: string, secrets: readonly string[], options: HostedOptions = {}) {
    super();
    this.#where = where;
    this.#secrets = secrets;
    this.#attemptMs = options.attemptMs ?? ATTEMPT_MS;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
  }

  /**
   * The request that has the service send `message` to the readers of a page. Made anew for each attempt. Throws
   * `invalid` when the service can have no such page.
   */
  protected abstract request(channelId: string, message: string): HostedRequest;

  /**
   * Resolves once the service has it. Rejects with `unavailable` when the service was down, too slow or busy for as
   * long as `patienceMs`; with `unauthorized`, `too_large` or `invalid` when it refused; with `closed` after `close()`.
   */
  override async publish(
    channelId: string,
    renders: Readonly<Record<string, Omit<Render, "at"> & Partial<Pick<Render, "at">>>>,
    removals: readonly string[],
    { cursor }: { readonly cursor?: Cursor } = {},
  ): Promise<void> {
    const message = JSON.stringify({ renders, removals, cursor });
    const deadline = performance.now() + this.#patienceMs;
    try {
      if (Buffer.byteLength(message) > this.#maxBytes) {
        throw this.#error("too_large", `an update of ${channelId} is over ${this.#maxBytes} bytes`);
      }
      await this.#send(channelId, message, deadline);
    } catch (error) {
      const isTooLarge = error instanceof TidingsError && error.code === "too_large";
      if (!isTooLarge || cursor === undefined) throw error;
      await this.#send(channelId, encodeReset(cursor), deadline);
    }
  }

  /** Gives up what is on the way. */
  close(): void {
    this.#closing.abort();
  }

  async #send(channelId: string, message: string, deadline: number): Promise<void> {
    let failure: TidingsError | undefined;
    for (let attempts = 0; ; attempts++) {
      const now = performance.now();
      const pause = Math.max(attempts === 0 ? 0 : backoff(attempts - 1), this.#heldUntil - now);
      if (now + pause >= deadline) {
        throw failure ?? this.#error("unavailable", "the service asked to be left alone for a while");
      }
      if (pause > 0) await sleep(pause, undefined, { signal: this.#closing.signal }).catch(() => {});
      if (this.#closing.signal.aborted) throw this.#error("closed", "used after close()");
      failure = await this.#attempt(this.request(channelId, message), deadline);
      if (!failure) return;
      if (failure.code !== "unavailable") throw failure;
    }
  }

  /** Answers with what went wrong: `unavailable` if it may go well another time. */
  async #attempt({ url, body }: HostedRequest, deadline: number): Promise<TidingsError | undefined> {
    const ms = Math.ceil(Math.min(this.#attemptMs, deadline - performance.now()));
    const timeout = AbortSignal.timeout(Math.max(1, ms));
    const signal = AbortSignal.any([this.#closing.signal, timeout]);
    const headers = { "Content-Type": "application/json" };
    let response: Response;
    let answer: string;
    try {
      // Elsewhere than the settings say, no secret goes.
      response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
      answer = await response.text();
    } catch (cause) {
      if (this.#closing.signal.aborted) return this.#error("closed", "closed before the service had it");
      if (timeout.aborted) return this.#error("unavailable", `the service has not answered within ${ms} ms`);
      return this.#error("unavailable", "the service cannot be reached", cause);
    }
    const { status } = response;
    if (response.ok) return undefined;
    const isBusy = status === 429 || status >= 500;
    if (isBusy) this.#hold(response.headers.get("Retry-After"));
    const code = isBusy ? "unavailable" : (REFUSALS[status] ?? "invalid");
    return this.#error(code, `the service answered ${status}: ${this.#shortened(answer)}`);
  }

  #hold(retryAfter: string | null): void {
    if (retryAfter === null) return;
    const seconds = Number(retryAfter);
    const ms = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1_000;
    if (ms > 0) this.#heldUntil = Math.max(this.#heldUntil, performance.now() + Math.min(ms, MAX_HOLD_MS));
  }

  /** One line, without secrets. */
  #shortened(answer: string): string {
    const open = this.#secrets.reduce((text, secret) => text.replaceAll(secret, "…"), answer);
    return open.replace(/\s+/g, " ").trim().slice(0, MAX_ANSWER);
  }

  #error(code: TidingsError["code"], detail: string, cause?: unknown): TidingsError {
    return new TidingsError(code, detail, { where: this.#where, cause });
  }
}

const REFUSALS: Readonly<Record<number, TidingsError["code"]>> = {
  401: "unauthorized",
  403: "unauthorized",
  413: "too_large",
};
