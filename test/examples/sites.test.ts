import { once } from "node:events";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import packageJson from "../../package.json" with { type: "json" };
import { launchBrowser } from "../support/browser.ts";
import { type Example, showsPosts, startCommand } from "../support/example.ts";
import { emptyFolder, emptyFolderInCheckout } from "../support/folder.ts";
import { installPacked } from "../support/packed.ts";
import { statusOf } from "../support/upgrade.ts";

// Each example as a newcomer has it: copied beside the package from the tarball, and run by the command that its
// first line names.

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));

/** What runs a live page: a file, or a folder with the file that says how to run it; and where it takes posts. */
const SITES: readonly (readonly [file: string, folder: string, posts?: string])[] = [
  ["http.ts", "."],
  ["express.ts", "."],
  ["fastify.ts", "."],
  ["hono.ts", "."],
  ["nestjs.ts", "."],
  ["bun.ts", "."],
  ["nitro.config.ts", "nitro"],
  ["server.ts", "nextjs", "/posts"],
];

/** What a reader from before them gets, whatever it comes by. */
const BOTH_POSTS = { renders: { "post-1": { content: "Kick-off!" }, "post-2": { show: true } } };

const site = emptyFolder();
/** Turbopack follows no link that leads out of its project: to it the packages must lie where npm put them. */
const nextSite = emptyFolderInCheckout();
const folderOf = (folder: string) => join(folder === "nextjs" ? nextSite.path : site.path, folder);
let browser: Browser;

const start = (command: string, cwd: string): Promise<Example> =>
  startCommand(command, { cwd, env: { NEXT_TELEMETRY_DISABLED: "1" } });

beforeAll(async () => {
  const { dependencies, devDependencies } = packageJson;
  await installPacked(site.path, [".bin", ...Object.keys({ ...dependencies, ...devDependencies })]);
  await cp(EXAMPLES, site.path, { recursive: true });
  for (const [, folder] of SITES.filter(([, folder]) => folder !== ".")) {
    // A folder is a project of its own, with what it has installed.
    await symlink(join(site.path, "node_modules"), join(site.path, folder, "node_modules"), "junction");
  }
  await installPacked(nextSite.path, []);
  await cp(join(EXAMPLES, "nextjs"), folderOf("nextjs"), { recursive: true });
  browser = await launchBrowser();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await site.dispose();
  await nextSite.dispose();
});

describe.for(SITES)("%s", ([file, folder, posts = ""]) => {
  it("starts by its first line, shows posts to a reader, answers each transport, ends on SIGTERM", async () => {
    const first = (await readFile(join(EXAMPLES, folder, file), "utf8")).split("\n", 1)[0]!;
    const [, command] =
      /^\/\/ A live page on .+?: (.+), then open http:\/\/localhost:3000$/.exec(first) ?? [];
    expect(command, first).toBeDefined();
    const example = await start(command!, folderOf(folder));
    try {
      const [, cursor] = /data-cursor="(.+?)"/.exec(await (await fetch(example.url)).text())!;
      await showsPosts(browser, example.url, example.url + posts);
      const at = (kind: string) => `${example.url}/${kind}/channel/news/?cursor=${cursor}`;
      expect(await statusOf(at("ws").replace("http:", "ws:"))).toBe(101);
      expect(await (await fetch(at("updates"))).json()).toMatchObject(BOTH_POSTS);
      expect(await firstEvent(at("sse"))).toMatchObject(BOTH_POSTS);
    } finally {
      await example.end();
    }
  }, 180_000);
});

it("Next.js, while one works on it, keeps its own socket, and leaves ours alone on a path that a page of it has", async () => {
  const app = join(nextSite.path, "nextjs-dev");
  await cp(join(EXAMPLES, "nextjs"), app, { recursive: true });
  await mkdir(join(app, "app", "[...path]"));
  await writeFile(join(app, "app", "[...path]", "page.tsx"), "export default () => <p>Any</p>;");
  // Without it Next.js would send a path that ends in a slash elsewhere, and find no page there.
  await writeFile(join(app, "next.config.ts"), "export default { trailingSlash: true };");
  const example = await start("node server.ts dev", app);
  try {
    expect(await (await fetch(`${example.url}/ws/channel/news/`)).text()).toContain("<p>Any</p>");
    const base = example.url.replace("http:", "ws:");
    expect(await statusOf(`${base}/_next/hmr?id=test`, { handshakeTimeout: 10_000 })).toBe(101);

    const reader = new WebSocket(`${base}/ws/channel/news/`);
    await once(reader, "open");
    const heard = Promise.race([once(reader, "message"), once(reader, "close")]);
    const headers = { "Content-Type": "text/plain" };
    await fetch(`${example.url}/posts/`, { method: "POST", body: "Kick-off!", headers });
    const [message] = await heard;
    expect(String(message)).toContain("Kick-off!");
    reader.terminate();
  } finally {
    await example.end();
  }
}, 180_000);

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
  return names.filter((name) => /\.tsx?$/.test(name));
}

async function firstEvent(url: string): Promise<unknown> {
  for await (const bytes of (await fetch(url)).body!) {
    const [, data] = /^data: ?(.+)$/m.exec(Buffer.from(bytes).toString()) ?? [];
    if (data !== undefined) return JSON.parse(data);
  }
  throw new Error(`${url} ended without an event`);
}
