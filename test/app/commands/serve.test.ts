import { once } from "node:events";
import { readFile, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { runCli } from "../../support/cli.ts";
import { loadsIn, TELLING_LOADS } from "../../support/loads.ts";
import { type Served, serve } from "../../support/serve.ts";

let served: Served | undefined;
afterEach(async () => {
  await served?.stop();
  served = undefined;
});

test("the first start greets into a log: links for readers and the editor, where the token is, and no way in", async () => {
  served = await serve();
  const file = join(served.cwd, "data", "token");
  const token = (await readFile(file, "utf8")).trim();
  await expect.poll(served.output).toContain(`Token    in ${file},`);
  const output = served.output();
  expect(output).toContain(`${served.url}/live/welcome/`);
  expect(output).toMatch(new RegExp(`${served.url}/editor$`, "m"));
  expect(output).not.toContain(token);
  expect(output).not.toContain("#code=");
  const answer = await fetch(`${served.url}/api/pages`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test("the first start greets a terminal with a link that logs in, and the token that the API takes", async () => {
  served = await serve({ NODE_OPTIONS: "--import=data:text/javascript,process.stdout.isTTY=true" });
  await expect.poll(served.output).toContain("its owner alone may read");
  expect(served.output()).toContain(`${served.url}/editor#code=`);
  const [, token] = /Token +(\S+)/.exec(served.output())!;
  const answer = await fetch(`${served.url}/api/pages`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
});

test("with a token of one's own none is shown, and no way in either", async () => {
  served = await serve({ TIDINGS_TOKEN: "hush-hush-hush-hush" });
  expect(served.output()).not.toMatch(/hush-hush|#code=|Token/);
});

test("SIGTERM ends it with 0", async () => {
  served = await serve();
  const { stop } = served;
  served = undefined;
  expect(await stop()).toBe(0);
});

test("a taken port is one line and exit code 2", async () => {
  served = await serve();
  const { port } = new URL(served.url);
  const args = ["serve", "--host", "127.0.0.1", "--port", port, "--data", "other", "--log-level", "silent"];
  const { status, stderr } = await runCli(args, { cwd: served.cwd });
  expect(status).toBe(2);
  expect(stderr).toMatch(new RegExp(`^tidings: port ${port} is taken on 127\\.0\\.0\\.1.*\\n$`, "m"));
});

test("a port that was taken on the first start costs nobody the token", async () => {
  served = await serve();
  const { port } = new URL(served.url);
  const data = join(served.cwd, "other");
  const args = ["serve", "--host", "127.0.0.1", "--port", port, "--data", data];
  expect((await runCli(args, { cwd: served.cwd })).status).toBe(2);
  await served.stop();
  served = await serve({ TIDINGS_DATA: data });
  await expect.poll(served.output).toContain(`Token    in ${join(data, "token")},`);
  const token = (await readFile(join(data, "token"), "utf8")).trim();
  const answer = await fetch(`${served.url}/api/pages`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
});

test("a token file that was lost is written again", async () => {
  served = await serve();
  const file = join(served.cwd, "data", "token");
  const token = await readFile(file, "utf8");
  served.child.kill("SIGKILL");
  await once(served.child, "close");
  await rm(file);
  const again = await serve({ TIDINGS_DATA: join(served.cwd, "data") });
  expect(await readFile(file, "utf8")).toBe(token);
  await expect.poll(again.output).toContain(`Token    in ${file},`);
  expect(again.output()).not.toContain(token.trim());
  await again.stop();
});

test("a data folder that cannot be written is one line and exit code 2", async () => {
  const { status, stderr } = await runCli(["serve", "--data", "/dev/null"]);
  expect(status).toBe(2);
  expect(stderr).toMatch(/^tidings: the data folder \/dev\/null cannot be written .*--data\n$/);
});

test("SIGTERM ends it soon though a stranger keeps a connection that asks for nothing", async () => {
  served = await serve();
  const { hostname, port } = new URL(served.url);
  const idle = connect(Number(port), hostname);
  await once(idle, "connect");
  await fetch(`${served.url}/healthz`).then((answer) => answer.text());
  const started = Date.now();
  const { stop } = served;
  served = undefined;
  expect(await stop()).toBe(0);
  expect(Date.now() - started).toBeLessThan(5_000);
});

test("goes on serving, and ends on SIGTERM, when nobody reads its log any more", async () => {
  served = await serve();
  served.child.stdout!.destroy();
  served.child.stderr!.destroy();
  const call = () =>
    fetch(`${served!.url}/api/pages`, { headers: { authorization: "Bearer wrong-wrong-wrong-wrong" } });
  for (let n = 0; n < 50; n++) expect((await call()).status).toBe(401); // a line of the log each
  served.child.kill("SIGTERM");
  const [code] = await once(served.child, "exit");
  expect(code).toBe(0);
});

test("readers need not wait until what only writers need is loaded, nor for what nobody needs", async () => {
  served = await serve({ NODE_OPTIONS: TELLING_LOADS, TIDINGS_TOKEN: "hush-hush-hush-hush" });
  const posted = await fetch(`${served.url}/api/pages/welcome/posts`, {
    method: "POST",
    headers: { authorization: "Bearer hush-hush-hush-hush", "content-type": "application/json" },
    body: JSON.stringify({ content: [{ type: "html", value: "<p>Goal!</p>" }] }),
  });
  expect(posted.status).toBe(201);
  const loaded = (when: "starting" | "serving") => loadsIn(served!.output(), when);
  await expect.poll(() => loaded("serving"), { timeout: 30_000 }).toContain("sanitize-html");
  expect(loaded("starting")).toContain("fastify");
  for (const library of ["sanitize-html", "image-size"]) expect(loaded("starting")).not.toContain(library);
  const all = [...loaded("starting"), ...loaded("serving")];
  for (const library of ["ajv", "redis", "ioredis", "pg", "amqplib"]) expect(all).not.toContain(library);
});
