import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Makes `site` a project that has installed Tidings: what `npm pack` packs of the present build, and beside it the
 * `packages` of the checkout (links to them).
 */
export async function installPacked(site: string, packages: readonly string[]): Promise<void> {
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", site];
  const [packed] = JSON.parse((await run("npm", pack, { cwd: root })).stdout) as [{ filename: string }];

  const installed = join(site, "node_modules", "tidings");
  await mkdir(installed, { recursive: true });
  await run("tar", ["-xzf", join(site, packed.filename), "-C", installed, "--strip-components=1"]);
  await writeFile(join(site, "package.json"), `{ "type": "module" }`);
  for (const name of packages) {
    const link = join(site, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, "node_modules", name), link, "junction");
  }
}
