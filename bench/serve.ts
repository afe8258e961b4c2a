/** `tidings serve`, as the package brings it. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, folder } from "./processes.ts";

const CLI = fileURLToPath(new URL("../dist/app/cli.js", import.meta.url));

export const TOKEN = "a-token-for-the-bench";

/** @param env settings besides the folder of its data (a new one) and the token */
export function serve(env: Readonly<Record<string, string>> = {}): Command {
  const data = mkdtempSync(join(folder, "serve-"));
  return (port) => ({
    command: [process.execPath, CLI, "serve", "--host", "127.0.0.1", "--port", String(port)],
    env: { TIDINGS_DATA: data, TIDINGS_TOKEN: TOKEN, ...env },
  });
}
