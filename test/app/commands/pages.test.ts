import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliResult, runCli } from "../../support/cli.ts";
import { type Served, serve } from "../../support/serve.ts";

let served: Served;
beforeAll(async () => {
  served = await serve();
});
afterAll(() => served.stop());

// Run in the server's own folder: its token is found there.
function pages(...args: string[]): Promise<CliResult> {
  return runCli(["pages", ...args], { cwd: served.cwd, env: { TIDINGS_URL: served.url } });
}

const done = (stdout: string): CliResult => ({ status: 0, stdout, stderr: "" });

test("makes, lists and deletes pages", async () => {
  expect(await pages("create", "-100123", "Été", "2026")).toEqual(
    done(`-100123 ${served.url}/live/-100123/\n`),
  );
  expect(await pages("create", "ö ö")).toEqual(done(`ö ö ${served.url}/live/%C3%B6%20%C3%B6/\n`));
  expect(await pages()).toEqual(
    done(`CHANNEL ID  TITLE               POSTS  LINK
ö ö         ö ö                 0      ${served.url}/live/%C3%B6%20%C3%B6/
-100123     Été 2026            0      ${served.url}/live/-100123/
welcome     Welcome to Tidings  1      ${served.url}/live/welcome/
`),
  );

  expect(await pages("delete", "-100123")).toEqual({
    status: 2,
    stdout: "",
    stderr: "tidings: to delete Été 2026 (-100123) with its posts (0) for good, say --yes\n",
  });
  for (const id of ["-100123", "ö ö"])
    expect(await pages("delete", id, "--yes")).toEqual(done(`${id} deleted\n`));
  const { stdout } = await pages("list", "--json");
  expect(JSON.parse(stdout).map(({ channelId }: { channelId: string }) => channelId)).toEqual(["welcome"]);
});

test("a page that exists is not made again", async () => {
  const { status, stdout, stderr } = await pages("create", "welcome");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^tidings: .*welcome.*\n$/);
});

test("a title does not steer the terminal", async () => {
  await pages("create", "evil", "red\u001b[31m");
  expect((await pages()).stdout).not.toContain("\u001b");
  await pages("delete", "evil", "--yes");
});

test("lists all pages, however many parts the list comes in", async () => {
  const names = Array.from({ length: 101 }, (_, i) => `many-${i}`);
  const token = (await readFile(join(served.cwd, "data", "token"), "utf8")).trim();
  for (const channelId of names) {
    const answer = await fetch(`${served.url}/api/pages`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ channelId, title: "One of many" }),
    });
    expect(answer.status).toBe(201);
  }
  const { stdout } = await pages("--json");
  const listed = JSON.parse(stdout).map(({ channelId }: { channelId: string }) => channelId);
  expect(listed).toEqual([...names.toReversed(), "welcome"]);
});
