/** Readers that come by plain HTTP, to Node's `(request, response)` or to Fetch's `Request`, as one kind of thing. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Question, Refusal } from "../hub/connection.ts";
import { allowedOrigin, type Origins } from "../hub/origins.ts";
import type { NodeAdapterOptions } from "./node.ts";
import { type PathKind, type Place, placeOf } from "./paths.ts";

/** As `http.createServer`, Express and Connect take it. A request for another path goes to `next`, or gets 404. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: () => void) => void;

/** `null`: the request is for another path. `address` is the reader's, for the limit per address. */
export type FetchHandler = (
  request: Request,
  from?: { readonly address?: string },
) => Promise<Response | null>;

export interface FetchAdapterOptions {
  /** The host that was asked, for the check of origins. Default: the `Host` header, else that of the URL. */
  readonly hostOf?: (request: Request) => string | undefined;
  /** Before the path, when the site lives below one: `"/live"`. */
  readonly base?: string;
}

/** A request for one of our paths. */
export interface Asked extends Omit<Question, keyof Place>, Place {
  readonly address: string | undefined;
  readonly method: string;
  header(name: string): string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

export function askedOfNode(
  request: IncomingMessage,
  kind: PathKind,
  { addressOf, hostOf, base }: NodeAdapterOptions,
): Asked | null {
  const place = placeOf(request.url ?? "", base, kind);
  return (
    place && {
      ...place,
      method: request.method ?? "",
      header: (name) => request.headers[name] as string | undefined,
      origin: request.headers.origin,
      host: hostOf ? hostOf(request) : request.headers.host,
      address: addressOf ? addressOf(request) : request.socket.remoteAddress,
    }
  );
}

export function askedOfFetch(
  request: Request,
  kind: PathKind,
  { hostOf, base }: FetchAdapterOptions,
  address: string | undefined,
): Asked | null {
  const { pathname, search, host } = new URL(request.url);
  const place = placeOf(pathname + search, base, kind);
  const header = (name: string) => request.headers.get(name) ?? undefined;
  return (
    place && {
      ...place,
      method: request.method,
      header,
      origin: header("origin"),
      host: hostOf ? hostOf(request) : (header("host") ?? host),
      address,
    }
  );
}

/** Lets scripts of the origins that may read here read the answer. */
export function corsOf({ origin, host }: Question, origins: Origins): Record<string, string> {
  const allowed = allowedOrigin(origins, origin, host);
  return {
    ...(allowed !== null && { "Access-Control-Allow-Origin": allowed }),
    // A cache must not give what one origin was told to another.
    ...(allowed !== "*" && { Vary: "Origin" }),
  };
}

export function refused({ status, reason, retryAfter }: Refusal, cors: Record<string, string>): Answer {
  return {
    status,
    headers: {
      ...cors,
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
      ...(retryAfter !== undefined && { "Retry-After": String(retryAfter) }),
    },
    body: reason,
  };
}

/** The answer to another method than those. */
export function notAllowed(methods: readonly string[], cors: Record<string, string>): Answer {
  const refusal = refused({ status: 405, reason: "readers only GET" }, cors);
  return { ...refusal, headers: { ...refusal.headers, Allow: methods.join(", ") } };
}

export function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, ...(status !== 304 && { "Content-Length": byteLength(body) }) });
  response.end(status === 304 ? undefined : body);
}

export function toResponse({ status, headers, body }: Answer): Response {
  return new Response(status === 304 ? null : body, { status, headers });
}

function byteLength(body: string | Uint8Array): number {
  return typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
}

/** What a handler does with a request that is not for it. */
export function pass(response: ServerResponse, next: (() => void) | undefined): void {
  if (next) next();
  else send(response, refused({ status: 404, reason: "no such path" }, {}));
}
