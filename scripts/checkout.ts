/** `npm run tidings -- <command>`: the command line from a checkout, straight from its sources. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const root = new URL("..", import.meta.url);

// Only the server hands out what browsers load, and only a build makes that.
const built = ["dist/assets", "dist/editor"].every((folder) => existsSync(new URL(folder, root)));
if (process.argv[2] === "serve" && !built) {
  console.error("Building what browsers load (once) …");
  // The build's words go to standard error: standard output is the command's.
  const build = spawnSync("npm", ["run", "--silent", "build"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (build.status !== 0) process.exit(build.status ?? 1);
}

await import("../src/app/cli.ts");
