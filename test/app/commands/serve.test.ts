import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { runCli } from "../../support/cli.ts";
import { type Served, serve } from "../../support/serve.ts";

let served: Served | undefined;
afterEach(async () => {
  await served?.stop();
  served = undefined;
});

test("the first start greets: links for readers and editors, and the token that the API takes", async () => {
  served = await serve();
  const output = served.output();
  expect(output).toContain(`${served.url}/live/welcome/`);
  expect(output).toContain(`${served.url}/editor#code=`);
  const [, token] = /Token +(\S+)/.exec(output)!;
  const answer = await fetch(`${served.url}/api/pages`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  // Only its owner may read the copy that commands on this machine take.
  expect((await stat(join(served.cwd, "data", "token"))).mode & 0o077).toBe(0);
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
