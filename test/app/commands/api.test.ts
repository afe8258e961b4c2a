import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runCli } from "../../support/cli.ts";

// What a network and its proxies do to a request, which no healthy server would.

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly key: string | undefined;
  readonly authorization: string | undefined;
}

let server: Server;
let seen: Seen[];
let answers: ((response: ServerResponse, request: IncomingMessage) => void)[];
let base: string;
let cwd: string;

beforeEach(async () => {
  seen = [];
  cwd = await mkdtemp(join(tmpdir(), "tidings-api-"));
  server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    seen.push({
      method,
      url,
      key: headers["idempotency-key"]?.toString(),
      authorization: headers.authorization,
    });
    request.resume().on("end", () => (answers.shift() ?? created)(response, request));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cwd, { recursive: true });
});

function created(response: ServerResponse): void {
  response.writeHead(201, { "content-type": "application/json" }).end(`{"id":"p1"}`);
}

const failure = (status: number) => (response: ServerResponse) => {
  response.writeHead(status).end("<h1>a proxy speaks</h1>");
};

const post = (url: string, env: Record<string, string> = {}) =>
  runCli(["post", "finals", "Goal!", "--url", url], { env, cwd });

describe("what may have failed on the way is tried again", () => {
  test("the post is sent again with the same key", async () => {
    answers = [(response) => response.destroy(), failure(502), failure(503)];
    expect(await post(base)).toEqual({ status: 0, stdout: `p1 ${base}/live/finals/\n`, stderr: "" });
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual(
      Array(4).fill("POST /api/pages/finals/posts"),
    );
    expect(seen[0]?.key).toMatch(/^[\w-]{16,}$/);
    expect(new Set(seen.map(({ key }) => key)).size).toBe(1);
  });

  test("not for ever", async () => {
    answers = Array(9).fill(failure(503));
    const { status, stdout, stderr } = await post(base);
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: "",
      stderr: `tidings: ${base} answered 503: try again later\n`,
    });
    expect(seen).toHaveLength(4);
  });

  test("a refusal is not tried again", async () => {
    answers = [
      (response) =>
        response
          .writeHead(400, { "content-type": "application/json" })
          .end(`{"error":{"code":"invalid","message":"content.0.value is too dull"}}`),
    ];
    expect(await post(base)).toEqual({
      status: 1,
      stdout: "",
      stderr: "tidings: content.0.value is too dull\n",
    });
    expect(seen).toHaveLength(1);
  });
});

test("a redirect is told, not followed: followed, the post would be lost", async () => {
  answers = [
    (response) => response.writeHead(301, { location: "https://live.example/api/pages/finals/posts" }).end(),
  ];
  const { status, stderr } = await post(base);
  expect(status).toBe(1);
  expect(stderr).toContain("https://live.example");
  expect(seen).toHaveLength(1);
});

test("where no server listens, it says which URL was tried", async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  const port = new URL(base).port;
  const { status, stderr } = await runCli(["post", "finals", "x", "--host", "127.0.0.1", "--port", port], {
    cwd,
  });
  expect(status).toBe(1);
  expect(stderr).toBe(
    `tidings: no server answers at ${base} (ECONNREFUSED): start it with: npm run tidings -- serve, or name another with --url\n`,
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

test("a URL may have a path, as behind a proxy", async () => {
  answers = [];
  const { stdout } = await post(`${base}/sport/`);
  expect(seen[0]?.url).toBe("/sport/api/pages/finals/posts");
  expect(stdout).toBe(`p1 ${base}/sport/live/finals/\n`);
});

describe("the token", () => {
  beforeEach(async () => {
    answers = [];
    await mkdir(join(cwd, "data"));
    await writeFile(join(cwd, "data", "token"), "of-this-machine\n");
  });

  test("is the one the server keeps in its data folder", async () => {
    await post(base);
    expect(seen[0]?.authorization).toBe("Bearer of-this-machine");
  });

  test("is given by variable or flag before that", async () => {
    await post(base, { TIDINGS_TOKEN: "of-env-of-env-of-env" });
    await runCli(["post", "finals", "x", "--url", base, "--token", "of-flag-of-flag-of-flag"], { cwd });
    expect(seen.map(({ authorization }) => authorization)).toEqual([
      "Bearer of-env-of-env-of-env",
      "Bearer of-flag-of-flag-of-flag",
    ]);
  });

  test("of this machine's server goes to no other machine", async () => {
    // 127.0.0.1 under a name that is not known to be this machine.
    const elsewhere = base.replace("127.0.0.1", "0.0.0.0");
    const { status } = await post(elsewhere);
    expect(status).toBe(0);
    expect(seen[0]?.authorization).toBeUndefined();
  });

  test.for([
    [{}, "asks for a token"],
    [{ TIDINGS_TOKEN: "wrong-hush-wrong-hush" }, "does not take this token"],
  ] as const)("is explained when it is refused (%j)", async ([env, said]) => {
    await rm(join(cwd, "data"), { recursive: true });
    answers = [failure(401)];
    const { status, stderr } = await post(base, env);
    expect(status).toBe(1);
    expect(stderr).toContain(`${said}: give the server's token with --token or TIDINGS_TOKEN`);
    expect(stderr).not.toContain("hush");
  });
});
