import fc from "fast-check";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { startTestServer, type TestServer, text } from "../support/server.ts";
import { fuzz, texts } from "./fuzz.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.api("POST", "/api/pages", { channelId: "fuzzed", title: "Fuzzed" });
  await server.api("POST", "/api/pages/fuzzed/posts", { ...text("there"), id: "there" });
});
afterAll(() => server.close());

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
