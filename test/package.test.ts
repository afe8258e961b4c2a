import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import lock from "../package-lock.json" with { type: "json" };
import { installPacked } from "./support/packed.ts";
import { serve } from "./support/serve.ts";

// What users get: the tarball, unpacked beside the packages it declares and nothing else.

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

let site: string;
const installed = (...path: string[]) => join(site, "node_modules", "tidings", ...path);

beforeAll(async () => {
  if (!existsSync(join(root, "dist/index.js")) || !existsSync(join(root, "dist/editor"))) {
    await run("npm", ["run", "--silent", "build"], { cwd: root });
  }
  site = await mkdtemp(join(tmpdir(), "tidings-package-"));
  // Node's types are what any TypeScript project on Node has; React what a project has that imports its hook.
  await installPacked(site, [...Object.keys(packageJson.dependencies), "@types/node", "react"]);
}, 120_000);
afterAll(() => rm(site, { recursive: true, force: true }));

/** All that can be imported: the names of `exports`, with their stars filled in. */
function entries(): string[] {
  const exports: Readonly<Record<string, string | null | { default: string }>> = packageJson.exports;
  return Object.entries(exports).flatMap(([name, target]) => {
    if (target === null || typeof target === "string") return [];
    const { default: file } = target;
    const [before = "", after] = file.split("*");
    const full = (part: string) => join("tidings", name.replace("*", part)).replaceAll("\\", "/");
    if (after === undefined) return [full("")];
    const parts = globSync(installed(file)).map((path) =>
      path.replaceAll("\\", "/").split(before.slice(1)).at(-1)!.slice(0, -after.length),
    );
    // `null` keeps what is ours alone from being imported.
    return parts.filter((part) => exports[name.replace("*", part)] !== null).map(full);
  });
}

test("publint has nothing to say", async () => {
  const { messages } = await publint({ pkgDir: installed(), pack: false, strict: true });
  expect(messages.map((message) => formatMessage(message, packageJson))).toEqual([]);
});

test("every export can be imported, and its types are there", async () => {
  const names = entries();
  expect(names).toEqual(
    expect.arrayContaining([
      "tidings",
      "tidings/client",
      "tidings/client/live-page",
      "tidings/client/react",
      "tidings/templates",
      "tidings/testing",
      "tidings/adapters/node",
      "tidings/buses/memory",
      "tidings/logs/memory",
      "tidings/logs/sqlite",
      "tidings/pages/sqlite",
    ]),
  );
  const script = `for (const name of ${JSON.stringify(names)}) await import(name);`;
  await writeFile(join(site, "all.js"), script);
  await run(process.execPath, ["all.js"], { cwd: site });

  const source = names.map((name, i) => `export type * as e${i} from "${name}";`).join("\n");
  await writeFile(join(site, "all.ts"), source);
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2024", "--types", "node"];
  // Types that need an undeclared package fail here: the declarations themselves are checked.
  const checked = await run(process.execPath, [tsc, ...options, "--skipLibCheck", "false", "all.ts"], {
    cwd: site,
  }).catch((error: { stdout: string }) => error);
  expect(checked.stdout).toBe("");
});

test("importing the core loads no web framework", async () => {
  const script = `await import("tidings"); await import("tidings/adapters/node");
    console.log(Object.keys((await import("node:module")).default._cache).join("\\n"));`;
  await writeFile(join(site, "core.js"), script);
  const { stdout } = await run(process.execPath, ["core.js"], { cwd: site });
  expect(stdout).not.toContain("fastify");
});

describe("the command", () => {
  const cli = () => installed(packageJson.bin.tidings);

  test("runs from the tarball", async () => {
    const { stdout } = await run(process.execPath, [cli(), "--version"]);
    expect(stdout).toBe(`${packageJson.version}\n`);
    expect(await readFile(cli(), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test("serves pages, their script and the editor from the tarball", async () => {
    const served = await serve({}, cli());
    try {
      for (const path of [
        "/live/welcome/",
        "/assets/reader.js",
        "/assets/tidings.js",
        "/assets/live-page.js",
        "/assets/wagtail-live.js",
        "/editor",
      ]) {
        expect([path, (await fetch(served.url + path)).status]).toEqual([path, 200]);
      }
    } finally {
      await served.stop();
    }
  });

  test("says what to do on a Node that reads no TypeScript", async () => {
    await writeFile(join(site, "tidings.config.ts"), "export default {};");
    const args = ["--no-experimental-strip-types", cli(), "serve"];
    const { code, stderr } = await run(process.execPath, args, { cwd: site }).catch((error) => error);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^tidings: tidings\.config\.ts cannot be loaded: Node [\d.]+ does not read TypeScript; use .*\n$/,
    );
  });
});

test("nothing that users install runs a script of its own", () => {
  const users = Object.entries(lock.packages as Record<string, LockEntry>).filter(
    ([path, entry]) => path !== "" && !entry.dev,
  );
  expect(users.length).toBeGreaterThan(Object.keys(packageJson.dependencies).length);
  expect(users.filter(([, entry]) => entry.hasInstallScript).map(([path]) => path)).toEqual([]);
  const own = Object.keys(packageJson.scripts).filter((name) => /^(pre|post)?install$|^prepare$/.test(name));
  expect(own).toEqual([]);
});

interface LockEntry {
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}
