/** The HTTP API as the commands speak it: where the server is, with which token, and what its refusals mean. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type ErrorCode, TidingsError } from "../../errors.ts";
import { COMMAND } from "../command-name.ts";
import type { Flags, FlagTypes } from "../flags.ts";
import { localUrl, readSettings, settingFlags } from "../settings.ts";

/** What every command that speaks to a server takes. */
export const API_FLAGS: FlagTypes = { url: "string", ...settingFlags(["token", "data", "host", "port"]) };

/** Waits before the second, third and fourth attempt, in milliseconds. */
const BACK_OFF = [250, 750, 1500];
const TIMEOUT = 15_000;
const TRY_AGAIN: readonly number[] = [429, 502, 503, 504];

export interface ApiRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** Relative to the server's URL: `api/pages`. */
  readonly path: string;
  readonly json?: unknown;
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

export interface Api {
  /** Answers with the parsed body; `null` for an empty one. Rejects with a `TidingsError`. */
  request(request: ApiRequest): Promise<unknown>;
  /** A page's address for readers. */
  readerUrl(channelId: string): string;
}

/**
 * Finds the server (`--url`, `TIDINGS_URL`, else where `tidings serve` listens with the same settings) and its
 * token (`--token`, `TIDINGS_TOKEN`, `tidings.config.ts`, else, for a server on this machine, the file it keeps it in).
 *
 * GET and POST are tried up to four times while the server cannot be reached; a POST carries one
 * `Idempotency-Key` through all of them, so it is never done twice.
 */
export async function connectApi(flags: Flags): Promise<Api> {
  const settings = await readSettings({ flags });
  const given = flags.url ?? (process.env.TIDINGS_URL || undefined);
  const base = given === undefined ? localUrl(settings) : checkUrl(given, flags.url !== undefined);
  const tokenFile = join(settings.data, "token");
  // The token of this machine's server is nobody else's to see.
  const token =
    settings.token ?? (isLoopback(base) || given === undefined ? readToken(tokenFile) : undefined);

  async function attempt({ method, path, json, bytes }: ApiRequest, key: string): Promise<Response> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (method === "POST") headers["idempotency-key"] = key;
    if (json !== undefined) headers["content-type"] = "application/json";
    // What a picture is, the server sees in its bytes.
    if (bytes !== undefined) headers["content-type"] = "image/*";
    return fetch(`${base}/${path}`, {
      method,
      headers,
      body: bytes ?? (json === undefined ? null : JSON.stringify(json)),
      // Followed, a POST would turn into a GET that posts nothing and yet succeeds.
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT),
    });
  }

  async function request(request: ApiRequest): Promise<unknown> {
    const key = randomUUID();
    const waits = request.method === "DELETE" ? [] : BACK_OFF;
    for (let tried = 0; ; tried++) {
      const pause = waits[tried];
      try {
        const response = await attempt(request, key);
        if (pause === undefined || !TRY_AGAIN.includes(response.status)) return await answer(response);
        await response.body?.cancel();
      } catch (error) {
        if (error instanceof TidingsError) throw error;
        if (pause === undefined) throw unreachable(error);
      }
      await wait(pause);
    }
  }

  async function answer(response: Response): Promise<unknown> {
    const text = await response.text();
    if (response.ok) return parse(text);
    const location = response.headers.get("location");
    if (location !== null) {
      throw new TidingsError(
        "unavailable",
        `${base} sends on to ${new URL(location, base)}: give that server's URL with --url`,
      );
    }
    if (response.status === 401) throw unauthorized();
    const { error } = (parse(text) ?? {}) as {
      error?: { code?: ErrorCode; message?: string; field?: string };
    };
    if (error?.code === undefined) {
      throw new TidingsError(
        "unavailable",
        `${base} answered ${response.status}${response.status >= 500 ? ": try again later" : ", as no Tidings server does"}`,
      );
    }
    const field = error.field === undefined ? {} : { field: error.field };
    throw new TidingsError(error.code, error.message ?? `the server answered ${response.status}`, field);
  }

  function unauthorized(): TidingsError {
    const how = "give the server's token with --token or TIDINGS_TOKEN";
    const where = `the server keeps it in its data folder, in the file "token"`;
    const what = token === undefined ? "asks for a token" : "does not take this token";
    return new TidingsError("unauthorized", `${base} ${what}: ${how} (${where})`);
  }

  function unreachable(cause: unknown): TidingsError {
    const hint =
      given === undefined
        ? `start it with: ${COMMAND} serve, or name another with --url`
        : "is that its URL?";
    return new TidingsError("unavailable", `no server answers at ${base} (${reason(cause)}): ${hint}`, {
      cause,
    });
  }

  return {
    request,
    readerUrl: (channelId) => {
      const site = given === undefined ? (settings.publicUrl ?? base) : base;
      return `${site}/live/${encodeURIComponent(channelId)}/`;
    },
  };
}

function checkUrl(given: string | boolean, isFlag: boolean): string {
  const source = isFlag ? "--url (flag)" : "TIDINGS_URL (environment)";
  const url = typeof given === "string" && URL.canParse(given) ? new URL(given) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new TidingsError("settings", `${source} must be an http or https URL such as https://live.example`);
  }
  return url.href.replace(/\/+$/, "");
}

function isLoopback(base: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(base).hostname);
}

function readToken(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim() || undefined;
  } catch {
    // The server asks for a token then, and the answer says how to give one.
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function reason(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } };
  if (name === "TimeoutError") return `no answer within ${TIMEOUT / 1000} s`;
  return cause?.code ?? cause?.message ?? String(error);
}
