import { join } from "node:path";
import { pino } from "pino";
import { type RunningServer, startServer } from "../../src/app/server.ts";
import { readSettings, type Settings } from "../../src/app/settings.ts";
import type { Block } from "../../src/pages/model.ts";
import { emptyFolder } from "./folder.ts";

export interface TestServer extends RunningServer {
  readonly settings: Settings;
  /** One request of the API, with the token unless `headers` say otherwise. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

/** Starts the whole server on a free port of loopback, over an empty folder, and throws all away at the end. */
export async function startTestServer(overrides: Partial<Settings> = {}): Promise<TestServer> {
  const { path: data, dispose } = emptyFolder();
  const defaults = await readSettings({ env: {}, cwd: data });
  const settings: Settings = {
    ...defaults,
    host: "127.0.0.1",
    port: 0,
    data,
    store: join(data, "tidings.db"),
    ...overrides,
  };
  const server = await startServer(settings, pino({ level: "silent" }));
  return {
    ...server,
    settings,
    api: (method, path, body, headers) =>
      request(server.url, method, path, body, { authorization: `Bearer ${server.token}`, ...headers }),
    async close() {
      await server.close();
      await dispose();
    },
  };
}

/** One request; a body that is no string or bytes is sent as JSON. */
export async function request(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const isJson = body !== undefined && typeof body !== "string" && !(body instanceof Uint8Array);
  const response = await fetch(url + path, {
    method,
    headers: { ...(isJson && { "content-type": "application/json" }), ...headers },
    body:
      body === undefined ? null : isJson ? JSON.stringify(body) : (body as string | Uint8Array<ArrayBuffer>),
    redirect: "manual",
  });
  const text = await response.text();
  const json = response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}

export const text = (value: string): { content: Block[] } => ({ content: [{ type: "text", value }] });
