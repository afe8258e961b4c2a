import { cp, readdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { launchBrowser } from "../support/browser.ts";
import { showsPosts, startCommand } from "../support/example.ts";
import { emptyFolder } from "../support/folder.ts";
import { installPacked } from "../support/packed.ts";
import { statusOf } from "../support/upgrade.ts";

// Each example as a newcomer has it: copied beside the package from the tarball, and run by the command that its
// first line names.

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));

/** What runs a live page: a file, or a folder with the file that says how to run it. */
const SITES = [
  ["http.ts", "."],
  ["express.ts", "."],
  ["fastify.ts", "."],
  ["hono.ts", "."],
  ["nestjs.ts", "."],
  ["bun.ts", "."],
  ["nitro.config.ts", "nitro"],
] as const;

/** What a reader from before them gets, whatever it comes by. */
const BOTH_POSTS = { renders: { "post-1": { content: "Kick-off!" }, "post-2": { show: true } } };

const site = emptyFolder();
let browser: Browser;

beforeAll(async () => {
  const { dependencies, devDependencies } = packageJson;
  await installPacked(site.path, [".bin", ...Object.keys({ ...dependencies, ...devDependencies })]);
  await cp(EXAMPLES, site.path, { recursive: true });
  for (const [, folder] of SITES.filter(([, folder]) => folder !== ".")) {
    // A folder is a project of its own, with what it has installed.
    await symlink(join(site.path, "node_modules"), join(site.path, folder, "node_modules"), "junction");
  }
  browser = await launchBrowser();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await site.dispose();
});

describe.for(SITES)("%s", ([file, folder]) => {
  it("starts by its first line, shows posts to a reader, answers each transport, ends on SIGTERM", async () => {
    const first = (await readFile(join(EXAMPLES, folder, file), "utf8")).split("\n", 1)[0]!;
    const [, command] =
      /^\/\/ A live page on .+?: (.+), then open http:\/\/localhost:3000$/.exec(first) ?? [];
    expect(command, first).toBeDefined();
    const example = await startCommand(command!, { cwd: join(site.path, folder) });
    try {
      const [, cursor] = /data-cursor="(.+?)"/.exec(await (await fetch(example.url)).text())!;
      await showsPosts(browser, example.url);
      const at = (kind: string) => `${example.url}/${kind}/channel/news/?cursor=${cursor}`;
      expect(await statusOf(at("ws").replace("http:", "ws:"))).toBe(101);
      expect(await (await fetch(at("updates"))).json()).toMatchObject(BOTH_POSTS);
      expect(await firstEvent(at("sse"))).toMatchObject(BOTH_POSTS);
    } finally {
      await example.end();
    }
  }, 60_000);
});

it.for(SITES)(
  "%s, with all that is beside it in its folder, takes less than 60 lines",
  async ([file, folder]) => {
    const files =
      folder === "." ? [file] : await readdir(join(EXAMPLES, folder), { recursive: true }).then(scripts);
    const texts = await Promise.all(files.map((name) => readFile(join(EXAMPLES, folder, name), "utf8")));
    expect(texts.join("").split("\n").length - 1).toBeLessThan(60);
  },
);

it("every example that says how to run it is tried here", async () => {
  const files = scripts(await readdir(EXAMPLES, { recursive: true }));
  const texts = await Promise.all(files.map((name) => readFile(join(EXAMPLES, name), "utf8")));
  const sites = files.filter((_name, i) => texts[i]!.startsWith("// A live page on "));
  expect(sites.sort()).toEqual(SITES.map(([file, folder]) => join(folder, file)).sort());
});

function scripts(names: string[]): string[] {
  return names.filter((name) => name.endsWith(".ts"));
}

async function firstEvent(url: string): Promise<unknown> {
  for await (const bytes of (await fetch(url)).body!) {
    const [, data] = /^data: ?(.+)$/m.exec(Buffer.from(bytes).toString()) ?? [];
    if (data !== undefined) return JSON.parse(data);
  }
  throw new Error(`${url} ended without an event`);
}
