import { Agent, get, type IncomingMessage } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { Frame } from "../../src/protocol.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";
import { fuzz, texts } from "./fuzz.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.api("POST", "/api/pages", { channelId: "fuzzed", title: "Fuzzed" });
  await server.api("POST", "/api/pages/fuzzed/posts", { ...text("there"), id: "there" });
  await server.api("POST", "/api/pages", { channelId: "read", title: "Read" });
  for (const id of ["a", "b", "c"]) await server.api("POST", "/api/pages/read/posts", { ...text(id), id });
});
afterAll(async () => {
  agent.destroy();
  await server.close();
});

const agent = new Agent({ keepAlive: true });

/** One request as any client may write it: the path as it is, a header's characters as bytes (Latin-1). */
function ask(path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(server.url, { agent, path, headers }, resolve).on("error", reject);
  });
}

/** By code, the status that docs/http-api.md says. */
const STATUS: Readonly<Record<string, number>> = {
  invalid: 400,
  not_found: 404,
  conflict: 409,
  stale: 412,
  too_large: 413,
  unsupported: 415,
  key_reused: 422,
};

const routes = fc.constantFrom(
  ["POST", "/api/pages"],
  ["PATCH", "/api/pages/fuzzed"],
  ["POST", "/api/pages/fuzzed/posts"],
  ["PATCH", "/api/pages/fuzzed/posts/there"],
  ["POST", "/api/channels/mine/updates"],
  ["POST", "/api/images"],
  ["POST", "/api/session"],
) as fc.Arbitrary<[string, string]>;
const fields = fc.record(
  {
    channelId: texts,
    title: fc.oneof(texts, fc.jsonValue()),
    content: fc.oneof(
      fc.array(fc.record({ type: fc.constantFrom("text", "html", "image", "embed"), value: texts })),
      fc.jsonValue(),
    ),
    show: fc.oneof(fc.boolean(), fc.jsonValue()),
    id: fc.oneof(texts, fc.jsonValue()),
    created: fc.oneof(fc.double(), fc.jsonValue()),
    renders: fc.oneof(
      fc.dictionary(texts, fc.record({ show: fc.boolean(), content: texts })),
      fc.jsonValue(),
    ),
    removals: fc.oneof(fc.array(texts), fc.jsonValue()),
    token: texts,
  },
  { requiredKeys: [] },
);
const bodies = fc.oneof(fields, fc.jsonValue(), texts, fc.uint8Array());
/** What HTTP lets through in a header. */
const headerText = texts.map((value) => value.replace(/[^\x20-\x7e]/g, "").trim());
const headers = fc.record(
  {
    "idempotency-key": headerText,
    "if-match": headerText,
    "content-type": fc.constantFrom("application/json", "text/plain", "image/png"),
    "content-encoding": fc.constantFrom("gzip", "deflate", "br", "identity", "gzip, gzip", "none"),
  },
  { requiredKeys: [] },
);

async function expectAnswer(
  method: string,
  path: string,
  body?: unknown,
  more?: Record<string, string>,
): Promise<void> {
  const { status, json } = await server.api(method, path, body, more);
  if (status < 300) return;
  // The session's own refusal is of a token, not of this request's.
  if (path === "/api/session" && (status === 401 || status === 429)) return;
  // What all routes here write to is there.
  if (method !== "GET") expect(status).not.toBe(404);
  expect({ status, code: json?.error?.code }).toEqual({
    status: STATUS[json?.error?.code],
    code: json?.error?.code,
  });
  expect(json.error.message).toBeTruthy();
}

describe("the API", () => {
  fuzz(
    "takes any body, or refuses it by its code",
    fc.tuple(routes, bodies, headers),
    async ([[method, path], body, more]) => {
      await expectAnswer(method, path, body, more);
    },
  );
  const lists = fc.constantFrom("/api/pages", "/api/pages/fuzzed/posts");
  fuzz(
    "and any query",
    fc.tuple(lists, texts, texts),
    async ([path, limit, after]) => {
      await expectAnswer("GET", `${path}?${new URLSearchParams({ limit })}`);
      await expectAnswer("GET", `${path}?${new URLSearchParams({ after })}`);
    },
    0.5,
  );
  const named = fc.constantFrom("/api/pages/", "/api/pages/fuzzed/posts/", "/api/channels/", "/images/");
  fuzz(
    "and any name in a path",
    fc.tuple(
      named,
      texts.filter((name) => !/^\.*$/.test(name)),
    ),
    async ([path, name]) => {
      await expectAnswer("GET", path + encodeURIComponent(name.toWellFormed()));
    },
    0.5,
  );
});

describe("a reader's cursor", () => {
  const head = async () => (await server.api("GET", "/api/channels/read")).json.cursor as string;
  /** `true`: the page's own epoch, with this number. */
  const given = fc.oneof(
    fc.tuple(fc.constant(true as const), fc.nat(8)),
    fc.tuple(
      fc.constant(false as const),
      fc.oneof(
        texts,
        fc.constantFrom(64, 127, 128, 129, 1_000).map((length) => "a".repeat(length)),
        fc.constantFrom("e.1", "e.9007199254740993", ".", ""),
      ),
    ),
  );
  /** What HTTP lets through in a header: also bytes that are no ASCII, and tabs. */
  const headerOf = (value: string) =>
    value.replace(/[^\t\x20-\x7e\x80-\xff]/g, "").replace(/^[\t ]+|[\t ]+$/g, "");
  const bytes = fc.array(
    fc.constantFrom("%", "%00", "%ff", "%F0%9F%98%80", "%ed%a0%80", "a.1", "+", "&cursor=", "%0a", "="),
    {
      maxLength: 6,
    },
  );

  /** The frame that comes first; `undefined`: refused with 400. */
  async function first(path: string, headers: Record<string, string>): Promise<Frame | undefined> {
    const response = await ask(path, headers);
    if (response.statusCode === 400) {
      response.resume();
      return undefined;
    }
    expect(response.statusCode).toBe(200);
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) {
      text += chunk;
      if (path.startsWith("/sse") && /^data: .*\n\n/m.test(text)) break;
    }
    return JSON.parse(path.startsWith("/sse") ? /^data: (.*)$/m.exec(text)![1]! : text);
  }

  /** By PROTOCOL.md, 1 and 2. */
  async function expectFirst(
    path: string,
    headers: Record<string, string>,
    cursor: string,
    now: string,
  ): Promise<void> {
    const frame = await first(path, headers);
    if (cursor.length > 128) return expect(frame).toBeUndefined();
    const [epoch, seq] = [now.slice(0, now.lastIndexOf(".")), Number(now.slice(now.lastIndexOf(".") + 1))];
    const own = cursor.startsWith(`${epoch}.`) ? Number(cursor.slice(epoch.length + 1)) : Number.NaN;
    expect(frame?.cursor).toBe(now);
    expect(frame?.reset ?? false).toBe(cursor !== "" && !(own <= seq));
    expect(Object.keys(frame!.renders)).toHaveLength(own < seq ? Math.min(seq - own, 3) : 0);
  }

  const kinds = fc.constantFrom("/sse/channel/read/", "/updates/channel/read/");
  /** Asked at once: polls of one page are answered in rounds of a second. */
  const many = <T>(each: fc.Arbitrary<T>) => fc.array(each, { maxLength: 60, size: "max" });
  fuzz(
    "in a header, the address or both is answered with what was missed, `reset` or a heartbeat; a longer one with 400",
    many(fc.tuple(kinds, given, given)),
    async (all) => {
      const now = await head();
      const spell = ([isOwn, value]: (typeof all)[number][1]) =>
        isOwn ? now.replace(/\d+$/, String(value)) : (value as string);
      const asking = all.map(([path, inHeader, inAddress]) => {
        const [id, cursor] = [headerOf(spell(inHeader)), spell(inAddress)];
        const url = `${path}?${new URLSearchParams({ cursor })}`;
        const effective = (path.startsWith("/sse") && id) || cursor.toWellFormed();
        return expectFirst(url, { "last-event-id": id }, effective, now);
      });
      await Promise.all(asking);
    },
    0.015,
  );
  fuzz(
    "of any bytes is one, or none",
    many(fc.tuple(kinds, bytes)),
    async (all) => {
      const now = await head();
      const asking = all.map(([path, parts]) => {
        const query = `cursor=${parts.join("")}`;
        return expectFirst(`${path}?${query}`, {}, new URLSearchParams(query).get("cursor") ?? "", now);
      });
      await Promise.all(asking);
    },
    0.01,
  );
});

describe("headers", () => {
  const paths = fc.constantFrom(
    ...[
      "/",
      "/live/fuzzed/",
      "/assets/tidings.js",
      "/updates/channel/fuzzed/",
      "/sse/channel/fuzzed/",
      "/editor",
    ],
    ...["/images/x", "/healthz", "/api/pages", "/metrics"],
  );
  const values = fc.oneof(
    headerText,
    fc.constantFrom(
      "bytes=0-",
      "bytes=5-2",
      "bytes=-1,0-0,99999999999-",
      "bytes=,",
      "gzip;q=1e9, br;q=",
      "*/*;q=nan",
    ),
    fc.constantFrom(
      '"x", W/"y"',
      '"',
      "Thu, 99 Foo 99999 99:99:99 GMT",
      "[::1]:99999",
      "null",
      "tidings_session=1e999.x",
    ),
  );
  const names = fc.constantFrom(
    ...["range", "if-range", "if-none-match", "if-modified-since", "if-match", "accept", "accept-encoding"],
    ...[
      "cookie",
      "authorization",
      "origin",
      "host",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
    ],
  );
  fuzz(
    "of any value let no stranger in, and break nothing",
    fc.tuple(paths, fc.dictionary(names, values, { maxKeys: 4 })),
    async ([path, headers]) => {
      const response = await ask(path, headers);
      if (path.startsWith("/sse") && response.statusCode === 200) response.destroy();
      else response.resume();
      expect(response.statusCode).toBeLessThan(500);
      if (path === "/api/pages" || path === "/metrics") expect([400, 401]).toContain(response.statusCode);
    },
  );
});
