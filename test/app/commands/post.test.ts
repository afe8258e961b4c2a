import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Post } from "../../../src/pages/model.ts";
import { type CliOptions, type CliResult, runCli } from "../../support/cli.ts";
import { type Served, serve } from "../../support/serve.ts";

const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

let served: Served;
beforeAll(async () => {
  served = await serve({ TIDINGS_TOKEN: "hush-hush-hush-hush" });
});
afterAll(() => served.stop());

function post(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const env = { TIDINGS_URL: served.url, TIDINGS_TOKEN: "hush-hush-hush-hush" };
  return runCli(["post", ...args], { cwd: served.cwd, env, ...options });
}

/** The post that a command made, as the server has it. */
async function made({ status, stdout, stderr }: CliResult): Promise<Post & { url: string }> {
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const [, id, url, page] = /^(\S+) (\S+\/live\/(\S+)\/)\n$/.exec(stdout)!;
  const answer = await fetch(`${served.url}/api/pages/${page}/posts/${id}`, {
    headers: { authorization: "Bearer hush-hush-hush-hush" },
  });
  return { ...((await answer.json()) as Post), url: url! };
}

const text = (value: string) => [{ type: "text", value }];

describe("what it posts", () => {
  test("the text, and it stands on the page that the link leads to", async () => {
    const { content, show, url } = await made(await post(["welcome", "Goal <b>now</b>!"]));
    expect({ content, show }).toEqual({ content: text("Goal <b>now</b>!"), show: true });
    expect(await (await fetch(url)).text()).toContain("Goal &lt;b&gt;now&lt;/b&gt;!");
  });

  test("words without quotes, as one text", async () => {
    expect((await made(await post(["welcome", "Half", "time"]))).content).toEqual(text("Half time"));
  });

  test.for([[["welcome"]], [["welcome", "-"]]] as const)("standard input (%j)", async ([args]) => {
    const input = "Zwei Zeilen,\nund ein é.\n";
    expect((await made(await post(args, { input }))).content).toEqual(text("Zwei Zeilen,\nund ein é."));
  });

  test("HTML", async () => {
    const { content } = await made(await post(["welcome", "<em>Goal</em><script>x</script>", "--html"]));
    expect(content).toEqual([{ type: "html", value: "<em>Goal</em>" }]);
  });

  test("a picture, alone and with a text", async () => {
    const image = join(served.cwd, "pixel.png");
    await writeFile(image, PIXEL);
    const { content } = await made(await post(["welcome", "--image", image, "--alt", "A dot"]));
    expect(content).toEqual([
      { type: "image", value: expect.any(String), alt: "A dot", width: 1, height: 1 },
    ]);
    const both = await made(await post(["welcome", "Look", "--image", image]));
    expect(both.content.map(({ type }) => type)).toEqual(["text", "image"]);
  });

  test("what readers shall not see yet", async () => {
    const { show, url } = await made(await post(["welcome", "Embargoed", "--hidden"]));
    expect(show).toBe(false);
    expect(await (await fetch(url)).text()).not.toContain("Embargoed");
  });
});

describe("what it says when that fails", () => {
  test("no such page: which there are, and how to make it", async () => {
    expect(await post(["welcom", "x"])).toEqual({
      status: 1,
      stdout: "",
      stderr:
        "tidings: there is no page welcom (there is welcome); did you mean welcome?; make it with: npm run tidings -- pages create welcom\n",
    });
  });

  test.for([
    ["no token", {}, "asks for a token"],
    ["a wrong token", { TIDINGS_TOKEN: "mine-mine-mine-mine" }, "does not take this token"],
  ] as const)("%s: how to give it", async ([, env, said]) => {
    const result = await post(["welcome", "Unheard"], {
      env: { TIDINGS_URL: served.url, ...env },
      cwd: tmpdir(),
    });
    expect(result).toMatchObject({ status: 1, stdout: "" });
    expect(result.stderr).toMatch(new RegExp(`^tidings: \\S+ ${said}: give the server's token with --token`));
    expect(await (await fetch(`${served.url}/live/welcome/`)).text()).not.toContain("Unheard");
  });

  test("a picture that is none: which ones it takes", async () => {
    const image = join(served.cwd, "fake.png");
    await writeFile(image, "GIF? no.");
    const { status, stderr } = await post(["welcome", "--image", image]);
    expect(status).toBe(1);
    expect(stderr).toContain("PNG, JPEG, GIF, WebP or AVIF");
  });
});
