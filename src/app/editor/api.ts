/** The HTTP API as the editor uses it. Same origin; the session is a cookie. */
import type { ErrorCode } from "../../errors.ts";
import type { Block, Image, Page, Post } from "../../pages/model.ts";
import type { Part } from "../../pages/store.ts";

/** What went wrong, in words for the editor. `network`: no answer came, so it may have happened or not. */
export class ApiError extends Error {
  readonly code: ErrorCode | "network";
  /** Which field, as a path: `content.0.value`. */
  readonly field: string | undefined;

  constructor(code: ErrorCode | "network", message: string, field?: string) {
    super(message);
    this.code = code;
    this.field = field;
  }

  /** Whether the change may have been made all the same. */
  get unclear(): boolean {
    return this.code === "network" || this.code === "internal" || this.code === "unavailable";
  }
}

export interface UploadedImage extends Pick<Image, "id" | "type" | "width" | "height"> {
  readonly url: string;
}

export interface NewPost {
  readonly content: readonly Block[];
  readonly show?: boolean;
}

/** Asks who it is; resolves once logged in. */
type LogIn = () => Promise<void>;

let logIn: LogIn = () => Promise.reject(new ApiError("unauthorized", "Log in first."));

/** Sets what to do when the session has ended; the request that found out is sent again afterwards. */
export function onLoggedOut(ask: LogIn): void {
  logIn = ask;
}

interface Options {
  readonly json?: unknown;
  readonly body?: Blob;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: number;
}

async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers = { ...options.headers, accept: "application/json" } as Record<string, string>;
  if (options.json !== undefined) headers["content-type"] = "application/json";
  try {
    return await fetch(path, {
      method,
      headers,
      body: options.json === undefined ? (options.body ?? null) : JSON.stringify(options.json),
      signal: AbortSignal.timeout(options.timeout ?? 15_000),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch {
    throw new ApiError("network", "The server does not answer. What you wrote is kept; try again.");
  }
}

async function failure(response: Response): Promise<ApiError> {
  const answer = (await response.json().catch(() => null)) as {
    error?: { code?: ErrorCode; message?: string; field?: string };
  } | null;
  const { code, message, field } = answer?.error ?? {};
  const unknown: ErrorCode = response.status >= 500 ? "unavailable" : "invalid";
  return new ApiError(code ?? unknown, message ?? `The server answered ${response.status}.`, field);
}

async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  let response = await send(method, path, options);
  while (response.status === 401) {
    await logIn();
    response = await send(method, path, options);
  }
  if (!response.ok) throw await failure(response);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError("network", "The server's answer was cut off. What you wrote is kept; try again.");
  }
}

const pagePath = (channelId: string): string => `/api/pages/${encodeURIComponent(channelId)}`;
const postPath = (channelId: string, postId: string): string =>
  `${pagePath(channelId)}/posts/${encodeURIComponent(postId)}`;
const listPath = (path: string, after: string | null): string =>
  `${path}?limit=50${after === null ? "" : `&after=${encodeURIComponent(after)}`}`;
const ifMatch = (version: string): { "if-match": string } => ({ "if-match": `"${version}"` });

/** Where a picture block's picture is. */
export function imageUrl(value: string): string {
  return /^https?:/i.test(value) ? value : `/images/${encodeURIComponent(value)}`;
}

/** Opens the session with a token or a link's code; rejects with `unauthorized`. */
export async function openSession(credentials: { token: string } | { code: string }): Promise<void> {
  const response = await send("POST", "/api/session", { json: credentials });
  if (!response.ok) throw await failure(response);
}

export async function closeSession(): Promise<void> {
  await send("DELETE", "/api/session");
}

export function listPages(after: string | null = null): Promise<Part<Page>> {
  return request("GET", listPath("/api/pages", after));
}

export function getPage(channelId: string): Promise<Page> {
  return request("GET", pagePath(channelId));
}

export function createPage(page: { channelId: string; title: string }): Promise<Page> {
  return request("POST", "/api/pages", { json: page });
}

export function renamePage(channelId: string, title: string): Promise<Page> {
  return request("PATCH", pagePath(channelId), { json: { title } });
}

export function deletePage(channelId: string): Promise<void> {
  return request("DELETE", pagePath(channelId));
}

export function listPosts(channelId: string, after: string | null = null): Promise<Part<Post>> {
  return request("GET", listPath(`${pagePath(channelId)}/posts`, after));
}

export function getPost(channelId: string, postId: string): Promise<Post> {
  return request("GET", postPath(channelId, postId));
}

/** The same `key` again makes no second post. */
export function createPost(channelId: string, post: NewPost, key: string): Promise<Post> {
  return request("POST", `${pagePath(channelId)}/posts`, {
    json: post,
    headers: { "idempotency-key": key },
  });
}

/** Rejects with `stale` if the post's version is no longer `version`. */
export function updatePost(
  channelId: string,
  postId: string,
  patch: { content?: readonly Block[]; show?: boolean },
  version: string,
): Promise<Post> {
  return request("PATCH", postPath(channelId, postId), { json: patch, headers: ifMatch(version) });
}

/** Rejects with `stale` if the post's version is no longer `version`. */
export function deletePost(channelId: string, postId: string, version: string): Promise<void> {
  return request("DELETE", postPath(channelId, postId), { headers: ifMatch(version) });
}

/** Stores a picture; rejects with `unsupported` or `too_large` if it is none that is taken. */
export function uploadImage(file: File): Promise<UploadedImage> {
  return request("POST", "/api/images", {
    body: file,
    headers: { "content-type": file.type || "application/octet-stream" },
    timeout: 120_000,
  });
}
