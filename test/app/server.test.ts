import { once } from "node:events";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { png } from "../support/png.ts";
import { request, startTestServer, type TestServer, text } from "../support/server.ts";

let server: TestServer;
let id: string;
let count = 0;
const api: TestServer["api"] = (...args) => server.api(...args);

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  id = `page-${++count}`;
  await api("POST", "/api/pages", { channelId: id, title: "A page" });
});

async function post(value: string, more: object = {}) {
  return (await api("POST", `/api/pages/${id}/posts`, { ...text(value), ...more })).json;
}

describe("without the token", () => {
  const CALLS: [string, string, unknown?][] = [
    ["GET", "/api/pages"],
    ["POST", "/api/pages", { channelId: "mine", title: "Mine" }],
    ["GET", "/api/pages/welcome"],
    ["PATCH", "/api/pages/welcome", { title: "Mine" }],
    ["DELETE", "/api/pages/welcome"],
    ["GET", "/api/pages/welcome/posts"],
    ["POST", "/api/pages/welcome/posts", text("mine")],
    ["POST", "/api/images", png(1, 1)],
    ["GET", "/api/channels/mine"],
    ["POST", "/api/channels/mine/updates", { renders: { a: { show: true, content: "mine" } } }],
    ["GET", "/api/nothing"],
    ["GET", "/api/"],
    ["GET", "/metrics"],
    ["POST", "/api/pages/welcome/posts", "{ not JSON"],
  ];

  it.each([
    ["none", {}],
    ["a wrong one", { authorization: "Bearer wrong" }],
    ["another scheme", { authorization: "Basic d3Jvbmc=" }],
    ["a forged session", { cookie: "tidings_session=9999999999999.AAAA" }],
  ])("everything under /api answers 401 and changes nothing: %s", async (_name, headers) => {
    const before = await api("GET", "/api/pages");
    const all = [...CALLS];
    const { json: posts } = await api("GET", "/api/pages/welcome/posts");
    all.push(["PATCH", `/api/pages/welcome/posts/${posts.items[0].id}`, { show: false }]);
    all.push(["DELETE", `/api/pages/welcome/posts/${posts.items[0].id}`]);
    for (const [method, path, body] of all) {
      const answer = await request(server.url, method, path, body, headers);
      expect([method, path, answer.status]).toEqual([method, path, 401]);
      expect(answer.json.error.code).toBe("unauthorized");
    }
    expect((await api("GET", "/api/pages")).json).toEqual(before.json);
    expect((await api("GET", "/api/pages/welcome/posts")).json).toEqual(posts);
    expect((await api("GET", "/api/channels/mine")).json.cursor).toMatch(/\.0$/);
  });
});

describe("pages", () => {
  it("are made, read, listed, renamed and deleted", async () => {
    const made = await api("POST", "/api/pages", { channelId: "é t é", title: " The finals " });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({ channelId: "é t é", title: "The finals", posts: 0 });
    const location = made.headers.get("location")!;
    expect((await api("GET", location)).json).toEqual(made.json);
    expect((await api("GET", "/api/pages?limit=1")).json.items).toEqual([made.json]);
    expect((await api("PATCH", location, { title: "Renamed" })).json.title).toBe("Renamed");
    expect((await api("POST", "/api/pages", { channelId: "é t é", title: "Again" })).status).toBe(409);
    expect((await api("DELETE", location)).status).toBe(204);
    expect((await api("GET", location)).status).toBe(404);
  });

  it("are called after their title when nothing else is said", async () => {
    const { json } = await api("POST", "/api/pages", { title: "L’été: the Finals, live!" });
    expect(json.channelId).toBe("l-été-the-finals-live");
    expect((await api("POST", "/api/pages", { title: "..." })).json.channelId).toBe("page");
  });

  it("list in parts", async () => {
    const seen: string[] = [];
    for (let after = ""; ; ) {
      const { json } = await api("GET", `/api/pages?limit=2${after}`);
      seen.push(...json.items.map(({ channelId }: { channelId: string }) => channelId));
      if (json.next === null) break;
      after = `&after=${encodeURIComponent(json.next)}`;
    }
    expect(seen).toContain("welcome");
    expect(new Set(seen).size).toBe(seen.length);
  });
});

describe("posts", () => {
  it("are made, read, listed newest first, changed and deleted", async () => {
    const made = await api("POST", `/api/pages/${id}/posts`, text("Kick-off"));
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({ show: true, at: 1, content: [{ type: "text", value: "Kick-off" }] });
    const location = made.headers.get("location")!;
    expect((await api("GET", location)).json).toEqual(made.json);
    const second = await post("Goal");
    const { json } = await api("GET", `/api/pages/${id}/posts`);
    expect(json).toEqual({ items: [second, made.json], next: null });
    const hidden = await api("PATCH", location, { show: false });
    expect(hidden.json).toMatchObject({ show: false, content: [{ type: "text", value: "Kick-off" }] });
    expect((await api("DELETE", location)).status).toBe(204);
    expect((await api("GET", location)).status).toBe(404);
    expect((await api("DELETE", location)).status).toBe(404);
  });

  it("edited under a stale If-Match are 412, and left as they are", async () => {
    const made = await api("POST", `/api/pages/${id}/posts`, text("one"));
    const path = made.headers.get("location")!;
    const etag = made.headers.get("etag")!;
    expect(etag).toBe(`"${made.json.version}"`);
    const theirs = await api("PATCH", path, text("theirs"), { "if-match": etag });
    expect(theirs.status).toBe(200);
    for (const stale of [etag, '"other"', `W/${theirs.headers.get("etag")}`]) {
      const mine = await api("PATCH", path, text("mine"), { "if-match": stale });
      expect([mine.status, mine.json.error.code]).toEqual([412, "stale"]);
      expect((await api("DELETE", path, undefined, { "if-match": stale })).status).toBe(412);
    }
    expect((await api("GET", path)).json).toEqual(theirs.json);
    const listed = `"other", ${theirs.headers.get("etag")}`;
    expect((await api("PATCH", path, text("mine"), { "if-match": listed })).status).toBe(200);
    expect((await api("PATCH", path, text("any"), { "if-match": "*" })).status).toBe(200);
    expect((await api("PATCH", path, text("x"), { "if-match": "unquoted" })).json.error).toMatchObject({
      code: "invalid",
      field: "If-Match",
    });
  });

  it("are made once for one Idempotency-Key", async () => {
    const key = { "idempotency-key": "one" };
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => api("POST", `/api/pages/${id}/posts`, text("once"), key)),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    expect(new Set(answers.map(({ json }) => json.id)).size).toBe(1);
    expect((await api("GET", `/api/pages/${id}/posts`)).json.items).toHaveLength(1);
    const other = await api("POST", `/api/pages/${id}/posts`, text("other"), key);
    expect([other.status, other.json.error.code]).toEqual([422, "key_reused"]);
    const bad = await api("POST", `/api/pages/${id}/posts`, text("x"), { "idempotency-key": "" });
    expect([bad.status, bad.json.error.field]).toEqual([400, "Idempotency-Key"]);
  });

  it("may bring an id, which names one post", async () => {
    const made = await post("mine", { id: "__proto__" });
    expect(made.id).toBe("__proto__");
    expect((await api("GET", `/api/pages/${id}/posts/__proto__`)).json).toEqual(made);
    const again = await api("POST", `/api/pages/${id}/posts`, { ...text("x"), id: "__proto__" });
    expect([again.status, again.json.error.field]).toEqual([409, "id"]);
  });

  it("keep the size of an uploaded picture, and refuse one that is not there", async () => {
    const { json: image } = await api("POST", "/api/images", png(3, 2), { "content-type": "image/png" });
    const content = [{ type: "image", value: image.id, alt: "A goal" }];
    const { json } = await api("POST", `/api/pages/${id}/posts`, { content });
    expect(json.content).toEqual([{ ...content[0], width: 3, height: 2 }]);
    const none = [{ type: "image", value: crypto.randomUUID(), alt: "" }];
    const refused = await api("POST", `/api/pages/${id}/posts`, { content: none });
    expect([refused.status, refused.json.error.field]).toEqual([400, "content.0.value"]);
  });
});

describe("a malformed request", () => {
  const block = (block: unknown) => ({ content: [block] });
  it.each<[string, string, unknown, string]>([
    ["POST", "/api/pages", {}, "title"],
    ["POST", "/api/pages", { title: "" }, "title"],
    ["POST", "/api/pages", { title: 7 }, "title"],
    ["POST", "/api/pages", { title: "x".repeat(301) }, "title"],
    ["POST", "/api/pages", { title: "a\nb" }, "title"],
    ["POST", "/api/pages", { title: "\ud800" }, "title"],
    ["POST", "/api/pages", { title: "x", channelId: "a/b" }, "channelId"],
    ["POST", "/api/pages", { title: "x", channelId: ".." }, "channelId"],
    ["POST", "/api/pages", { title: "x", channelId: "x".repeat(256) }, "channelId"],
    ["POST", "/api/pages", { title: "x", channelId: "\ud800" }, "channelId"],
    ["POST", "/api/pages", { title: "x", colour: "red" }, "colour"],
    ["POST", "/api/pages", [], "body"],
    ["POST", "/api/pages", "null", "body"],
    ["POST", "/api/pages", "{", "body"],
    ["PATCH", "/api/pages/ID", { title: null }, "title"],
    ["POST", "/api/pages/ID/posts", {}, "content"],
    ["POST", "/api/pages/ID/posts", { content: "text" }, "content"],
    ["POST", "/api/pages/ID/posts", { content: [] }, "content"],
    ["POST", "/api/pages/ID/posts", { content: [null] }, "content.0"],
    ["POST", "/api/pages/ID/posts", block({ type: "video", value: "x" }), "content.0.type"],
    ["POST", "/api/pages/ID/posts", block({ type: "text" }), "content.0.value"],
    ["POST", "/api/pages/ID/posts", block({ type: "text", value: " " }), "content.0.value"],
    [
      "POST",
      "/api/pages/ID/posts",
      block({ type: "image", value: "javascript:alert(1)" }),
      "content.0.value",
    ],
    ["POST", "/api/pages/ID/posts", block({ type: "embed", value: "no URL" }), "content.0.value"],
    ["POST", "/api/pages/ID/posts", { ...text("x"), show: "yes" }, "show"],
    ["POST", "/api/pages/ID/posts", { ...text("x"), id: "a/b" }, "id"],
    ["POST", "/api/pages/ID/posts", { ...text("x"), created: "now" }, "created"],
    ["POST", "/api/pages/ID/posts", { ...text("x"), created: 8.64e15 }, "created"],
    ["POST", "/api/channels/mine/updates", undefined, "body"],
    ["POST", "/api/channels/mine/updates", {}, "body"],
    ["POST", "/api/channels/mine/updates", { renders: 7 }, "renders"],
    ["POST", "/api/channels/mine/updates", { renders: { a: {} } }, "renders.a.show"],
    ["POST", "/api/channels/mine/updates", { renders: [{ show: true, content: "x" }] }, "renders.0.id"],
    ["POST", "/api/channels/mine/updates", { removals: "a" }, "removals"],
    ["POST", "/api/channels/mine/updates", { removals: ["a/b"] }, "removals.0"],
    ["POST", `/api/channels/${"x".repeat(256)}/updates`, {}, "channelId"],
    ["GET", "/api/pages?limit=0", undefined, "limit"],
    ["GET", "/api/pages?limit=1e3", undefined, "limit"],
    ["GET", "/api/pages?after=nonsense", undefined, "after"],
    ["GET", "/api/pages/ID/posts?after=-1", undefined, "after"],
  ])("%s %s %j is 400 and names the field", async (method, path, body, field) => {
    const headers = { "content-type": "application/json" };
    const { status, json } = await api(
      method,
      path.replace("ID", id),
      body,
      body === undefined ? {} : headers,
    );
    expect([status, json.error.code, json.error.field]).toEqual([400, "invalid", field]);
    expect(json.error.message).toContain(field.split(".")[0]!);
  });

  it("over the limits is 413, of another type 415", async () => {
    const long = { content: [{ type: "text", value: "x".repeat(1024 * 1024 + 1) }] };
    expect((await api("POST", `/api/pages/${id}/posts`, long)).status).toBe(413);
    const huge = { title: "x".repeat(9 * 1024 * 1024) };
    expect((await api("POST", "/api/pages", huge)).status).toBe(413);
    const picture = Buffer.alloc(10 * 1024 * 1024 + 1);
    expect((await api("POST", "/api/images", picture, { "content-type": "image/png" })).status).toBe(413);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    expect((await api("POST", "/api/pages", "title=x", form)).status).toBe(415);
  });

  it("compressed as nobody can read is 415, and as it does not say 400: its page is there", async () => {
    const posted = async (path: string, encoding: string) => {
      const body = Buffer.from(JSON.stringify(text("x")));
      const type = path === "/api/images" ? "image/png" : "application/json";
      const { status, json } = await api("POST", path, body, {
        "content-type": type,
        "content-encoding": encoding,
      });
      return [status, json.error.code, json.error.field];
    };
    for (const path of [`/api/pages/${id}/posts`, "/api/images"]) {
      for (const encoding of ["xx", "gzip, gzip"]) {
        expect(await posted(path, encoding)).toEqual([415, "unsupported", "Content-Encoding"]);
      }
      for (const encoding of ["gzip", "deflate", "br"]) {
        expect(await posted(path, encoding)).toEqual([400, "invalid", "body"]);
      }
    }
    const gzipped = await api("POST", `/api/pages/${id}/posts`, gzipSync(JSON.stringify(text("x"))), {
      "content-type": "application/json",
      "content-encoding": "gzip",
    });
    expect(gzipped.status).toBe(201);
  });

  it("for a range that a script has not is 416, and says how long it is", async () => {
    const whole = (await api("GET", "/assets/tidings.js", undefined, { "accept-encoding": "identity" })).text;
    for (const range of ["bytes=99999999-", "bytes=5-2"]) {
      const { status, headers } = await api("GET", "/assets/tidings.js", undefined, { range });
      expect([status, headers.get("content-range")]).toEqual([416, `bytes */${whole.length}`]);
    }
    const first = await api("GET", "/assets/tidings.js", undefined, { range: "bytes=0-3" });
    expect([first.status, first.text]).toEqual([206, whole.slice(0, 4)]);
  });

  it("for another version of a script is 412", async () => {
    const { status, json } = await api("GET", "/assets/tidings.js", undefined, { "if-match": '"other"' });
    expect([status, json.error.code]).toEqual([412, "stale"]);
  });

  it("in another encoding than UTF-8 is 400, and nothing is lost without a word", async () => {
    const json = { "content-type": "application/json" };
    for (const encoding of ["latin1", "utf16le"] as const) {
      const body = Buffer.from(JSON.stringify(text("Zürich")), encoding);
      const answer = await api("POST", `/api/pages/${id}/posts`, body, json);
      expect([answer.status, answer.json.error]).toEqual([
        400,
        { code: "invalid", field: "body", message: expect.stringContaining("UTF-8") },
      ]);
    }
    const body = Buffer.from(`\ufeff${JSON.stringify(text("Zürich"))}`);
    const { status, json: made } = await api("POST", `/api/pages/${id}/posts`, body, json);
    expect([status, made.content[0].value]).toEqual([201, "Zürich"]);
  });

  it("with a URL that is none is 400 in the same words", async () => {
    const { status, json } = await api("GET", "/api/pages/%ff");
    expect([status, json.error.code, json.error.field]).toEqual([400, "invalid", "url"]);
  });

  it("of a size that no login has is 413", async () => {
    const answer = await request(server.url, "POST", "/api/session", { token: "x".repeat(5_000) });
    expect(answer.status).toBe(413);
  });

  it("for what is not there is 404", async () => {
    for (const path of [
      "/api/pages/none",
      "/api/pages/none/posts",
      `/api/pages/${id}/posts/none`,
      "/api/nothing",
      `/api/pages/${"x".repeat(255)}`,
      "/images/none",
      "/live/none/",
      "/nothing",
      "/assets/%2e%2e/%2e%2e/package.json",
      "/editor/none",
    ]) {
      expect([path, (await api("GET", path)).status]).toEqual([path, 404]);
    }
    expect((await api("POST", "/api/pages/none/posts", text("x"))).status).toBe(404);
    const html = await request(server.url, "GET", "/live/none/", undefined, { accept: "text/html" });
    expect(html.headers.get("content-type")).toContain("text/html");
  });
});

describe("pictures", () => {
  it("are kept and served as what their bytes are, whatever they were called", async () => {
    const bytes = png(3, 2);
    const made = await api("POST", "/api/images", bytes, { "content-type": "text/html" });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      type: "image/png",
      width: 3,
      height: 2,
      url: `/images/${made.json.id}`,
    });
    const served = await fetch(server.url + made.json.url);
    expect(served.headers.get("content-type")).toBe("image/png");
    expect(served.headers.get("x-content-type-options")).toBe("nosniff");
    expect(Buffer.from(await served.arrayBuffer())).toEqual(Buffer.from(bytes));
    const again = await fetch(server.url + made.json.url, {
      headers: { "if-none-match": served.headers.get("etag")! },
    });
    expect(again.status).toBe(304);
  });

  it("that are no pictures are refused", async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>';
    const half = png(3, 2).subarray(0, 20);
    for (const bytes of [
      Buffer.from(svg),
      Buffer.from("<script>alert(1)</script>"),
      Buffer.from("%PDF-1.7"),
      half,
    ]) {
      const answer = await api("POST", "/api/images", bytes, { "content-type": "image/png" });
      expect([answer.status, answer.json.error.code]).toEqual([415, "unsupported"]);
    }
    expect((await api("POST", "/api/images")).status).toBe(400);
  });
});

describe("channels of another CMS", () => {
  it("take updates in either form, tell their cursor, and keep ids that look like integers in order", async () => {
    const start = (await api("GET", "/api/channels/cms")).json;
    expect(start).toMatchObject({ channelId: "cms" });
    const reader = new WebSocket(
      `${server.url.replace("http", "ws")}/ws/channel/cms/?cursor=${start.cursor}`,
    );
    const frames: string[] = [];
    reader.on("message", (data) => frames.push(String(data)));
    await new Promise((resolve) => reader.once("open", resolve));
    const { json } = await api("POST", "/api/channels/cms/updates", {
      renders: [
        { id: "10", show: true, content: "<p>ten</p>" },
        { id: "9", show: true, content: "<p onclick='x()'>nine<script>x()</script></p>" },
        { id: "8", show: false, content: "secret" },
      ],
      removals: ["7"],
    });
    await expect.poll(() => frames.length).toBe(1);
    const frame = JSON.parse(frames[0]!);
    expect(frame.cursor).toBe(json.cursor);
    expect(frame.removals).toEqual(["7"]);
    expect([frame.renders[10].at, frame.renders[9].at, frame.renders[8].at]).toEqual([1, 2, 3]);
    expect(frame.renders[9].content).toContain("<p>nine</p>");
    expect(frames[0]).not.toMatch(/secret|onclick|script/);
    expect((await api("GET", "/api/channels/cms")).json.cursor).toBe(json.cursor);
    await api("POST", "/api/channels/cms/updates", { renders: { 10: { show: true, content: "x" } } });
    await expect.poll(() => frames.length).toBe(2);
    reader.terminate();
  });

  it("take as many posts as one update may hold, and no more", async () => {
    const ids = Array.from({ length: 10_001 }, (_, n) => `post-${n}`);
    const path = `/api/channels/many-${count}/updates`;
    const { status, json } = await api("POST", path, { removals: ids });
    expect([status, json.error.code, json.error.field]).toEqual([413, "too_large", "removals"]);
    expect(json.error.message).toContain("10001");
    expect((await api("POST", path, { removals: ids.slice(1) })).status).toBeLessThan(300);
    const renders = ids.map((post) => ({ id: post, show: true, content: "<p>x</p>" }));
    expect((await api("POST", path, { renders })).status).toBe(413);
  });

  it("take ids such as __proto__ as any other", async () => {
    const start = (await api("GET", "/api/channels/proto")).json.cursor;
    const body =
      '{"renders":{"__proto__":{"show":true,"content":"x"},"constructor":{"show":true,"content":"y"}}}';
    const json = { "content-type": "application/json" };
    const { cursor } = (await api("POST", "/api/channels/proto/updates", body, json)).json;
    expect(cursor).toMatch(/\.1$/);
    const reader = new WebSocket(`${server.url.replace("http", "ws")}/ws/channel/proto/?cursor=${start}`);
    const [frame] = await once(reader, "message");
    expect(Object.keys(JSON.parse(String(frame)).renders)).toEqual(["__proto__", "constructor"]);
    reader.terminate();
  });

  it("that are stored pages are 409", async () => {
    const answer = await api("POST", `/api/channels/${id}/updates`, { removals: ["a"] });
    expect([answer.status, answer.json.error.code]).toEqual([409, "conflict"]);
    expect((await api("GET", `/api/channels/${id}`)).json.cursor).toMatch(/\.0$/);
  });
});

describe("sessions", () => {
  const code = () => /#code=(.+)/.exec(server.greeting.editor)![1]!;

  async function logIn(body: object, headers = {}) {
    const answer = await request(server.url, "POST", "/api/session", body, headers);
    return { ...answer, cookie: answer.headers.get("set-cookie") ?? "" };
  }

  it("are opened by the code of the link once, and by the token", async () => {
    const first = await logIn({ code: code() });
    expect(first.status).toBe(204);
    expect(first.cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
    expect((await logIn({ code: code() })).status).toBe(401);
    expect((await logIn({ code: "guess" })).status).toBe(401);
    expect((await logIn({ token: "wrong" })).status).toBe(401);
    expect((await logIn({})).status).toBe(400);
    const { cookie } = await logIn({ token: server.token });
    const [pair] = cookie.split(";");
    const pages = await request(server.url, "GET", "/api/pages", undefined, { cookie: pair! });
    expect(pages.status).toBe(200);
    const out = await request(server.url, "DELETE", "/api/session", undefined, { cookie: pair! });
    expect(out.headers.get("set-cookie")).toMatch(/tidings_session=;.*Max-Age=0/);
  });

  it("write only from this site's own pages", async () => {
    const { cookie } = await logIn({ token: server.token });
    const pair = { cookie: cookie.split(";")[0]! };
    const write = (headers: object) =>
      request(server.url, "POST", `/api/pages/${id}/posts`, text("x"), { ...pair, ...headers });
    expect((await write({ origin: server.url })).status).toBe(201);
    expect((await write({ origin: "https://evil.example" })).status).toBe(403);
    expect((await write({ origin: "null" })).status).toBe(403);
    expect((await write({})).status).toBe(403);
    expect((await api("GET", `/api/pages/${id}/posts`)).json.items).toHaveLength(1);
    const login = await logIn({ token: server.token }, { origin: "https://evil.example" });
    expect([login.status, login.cookie]).toEqual([403, ""]);
  });
});

describe("reader pages", () => {
  it("are whole without JavaScript, under a strict policy, and never show hidden text", async () => {
    await post("Shown <b>text</b>");
    await post("Hidden secret", { show: false });
    const page = await request(server.url, "GET", `/live/${id}/`);
    expect(page.status).toBe(200);
    expect(page.text).toContain("Shown &lt;b&gt;text&lt;/b&gt;");
    expect(page.text).not.toContain("secret");
    const policy = page.headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toContain("unsafe");
    const { json } = await api("GET", `/api/channels/${id}`);
    expect(page.text).toContain(`data-cursor="${json.cursor}"`);
  });

  it("answer 304 while nothing has changed", async () => {
    await post("one");
    const first = await request(server.url, "GET", `/live/${id}/`);
    const etag = { "if-none-match": first.headers.get("etag")! };
    expect((await request(server.url, "GET", `/live/${id}/`, undefined, etag)).status).toBe(304);
    await post("two");
    expect((await request(server.url, "GET", `/live/${id}/`, undefined, etag)).text).toContain("two");
    await api("PATCH", `/api/pages/${id}`, { title: "Renamed" });
    expect((await request(server.url, "GET", `/live/${id}/`)).text).toContain("Renamed");
  });

  it("do not tell, by their ETag, that a hidden post was edited", async () => {
    const { id: hidden } = await post("Hidden", { show: false });
    const etag = async () => (await request(server.url, "GET", `/live/${id}/`)).headers.get("etag");
    const before = await etag();
    await api("PATCH", `/api/pages/${id}/posts/${hidden}`, text("Hidden, edited"));
    expect(await etag()).toBe(before);
    await api("PATCH", `/api/pages/${id}/posts/${hidden}`, { show: true });
    expect(await etag()).not.toBe(before);
  });

  it("are found without the slash, and by any id", async () => {
    const name = "é?#%";
    await api("POST", "/api/pages", { channelId: name, title: "Odd" });
    const redirect = await request(server.url, "GET", `/live/${encodeURIComponent(name)}`);
    expect(redirect.status).toBe(301);
    expect((await request(server.url, "GET", redirect.headers.get("location")!)).status).toBe(200);
    expect((await request(server.url, "GET", "/")).text).toContain(`/live/${encodeURIComponent(name)}/`);
  });
});

describe("pages of other sites", () => {
  const SITE = "https://news.example";
  const allowed = (answer: { headers: Headers }) => [
    answer.headers.get("access-control-allow-origin"),
    answer.headers.get("vary")?.includes("Origin") ?? false,
  ];

  it("may read a page, its redirect and its absence, where TIDINGS_ORIGINS names them, and only there", async () => {
    const open = await startTestServer({ origins: ["own", SITE] });
    try {
      const asked = (path: string, origin?: string) =>
        request(open.url, "GET", path, undefined, origin === undefined ? {} : { origin });
      for (const path of ["/live/welcome/", "/live/welcome", "/live/nothing/", "/live/welcome/?at=e.1"]) {
        expect([path, ...allowed(await asked(path, SITE))]).toEqual([path, SITE, true]);
        expect([path, ...allowed(await asked(path, open.url))]).toEqual([path, open.url, true]);
        expect([path, ...allowed(await asked(path, "https://evil.example"))]).toEqual([path, null, true]);
        expect([path, ...allowed(await asked(path))]).toEqual([path, null, true]);
      }
      const page = await asked("/live/welcome/", SITE);
      const unchanged = { origin: SITE, "if-none-match": page.headers.get("etag")! };
      const again = await request(open.url, "GET", "/live/welcome/", undefined, unchanged);
      expect([again.status, ...allowed(again)]).toEqual([304, SITE, true]);
      for (const path of ["/", "/editor", "/editor/", "/api/pages"]) {
        expect([path, ...allowed(await asked(path, SITE))]).toEqual([path, null, false]);
      }
      expect(allowed(await asked("/assets/tidings.js", "https://evil.example"))[0]).toBe("*");
    } finally {
      await open.close();
    }
  });

  it("may all read with TIDINGS_ORIGINS=*, and none without the setting", async () => {
    const open = await startTestServer({ origins: ["own", "*"], publicUrl: "https://live.example" });
    try {
      const answer = await request(open.url, "GET", "/live/welcome/", undefined, { origin: "null" });
      expect(allowed(answer)).toEqual(["*", false]);
    } finally {
      await open.close();
    }
    expect(allowed(await request(server.url, "GET", `/live/${id}/`, undefined, { origin: SITE }))).toEqual([
      null,
      true,
    ]);
  });

  it("may read where TIDINGS_PUBLIC_URL says that they are ours", async () => {
    const open = await startTestServer({ publicUrl: "https://live.example/" });
    try {
      const origin = "https://live.example";
      const answer = await request(open.url, "GET", "/live/welcome/", undefined, { origin });
      expect(allowed(answer)).toEqual([origin, true]);
    } finally {
      await open.close();
    }
  });
});

it("the editor is found with a slash, too", async () => {
  const { status, headers } = await request(server.url, "GET", "/editor/");
  expect([status, headers.get("location")]).toEqual([301, "/editor"]);
});

it("nothing under /api is kept by a cache", async () => {
  const { headers } = await api("GET", "/api/pages");
  expect([headers.get("cache-control"), headers.get("x-content-type-options")]).toEqual([
    "no-store",
    "nosniff",
  ]);
});

describe("operators", () => {
  it("see health, readiness and metrics", async () => {
    expect((await request(server.url, "GET", "/healthz")).json).toEqual({ status: "ok" });
    expect((await request(server.url, "GET", "/readyz")).json).toEqual({ status: "ok", bus: "up" });
    await post("counted");
    const { text: metrics } = await api("GET", "/metrics");
    expect(metrics).toMatch(/^tidings_readers \d+$/m);
    expect(metrics).toMatch(
      /^tidings_http_request_seconds_count\{.*route="\/api\/pages\/:channelId\/posts".*\} \d+$/m,
    );
  });

  it("never find the token or a cookie in an answer's headers or a page", async () => {
    const page = await request(server.url, "GET", `/live/${id}/`);
    expect(page.text).not.toContain(server.token);
    expect(JSON.stringify([...page.headers])).not.toContain(server.token);
  });
});

it("an upgrade to a path that is nobody's is answered", async () => {
  const status = await new Promise((resolve) => {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/elsewhere`);
    socket.on("unexpected-response", (_request, response) => {
      resolve(response.statusCode);
      socket.terminate();
    });
    socket.on("error", () => {});
  });
  expect(status).toBe(404);
});
