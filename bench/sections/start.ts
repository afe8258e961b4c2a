/** From `tidings serve` to a server that says it is ready. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { folder, startServer } from "../processes.ts";
import type { Extent, Section } from "../section.ts";

export const CLI: string = fileURLToPath(new URL("../../dist/app/cli.js", import.meta.url));

export async function start({ turns, tell }: Extent): Promise<Section> {
  tell("start-up");
  const [first, later, rss]: [number[], number[], number[]] = [[], [], []];
  for (let turn = 1; turn <= turns; turn++) {
    const data = mkdtempSync(join(folder, "start-"));
    for (const times of [first, later]) {
      const begun = performance.now();
      const server = await startServer((port) => ({
        command: [process.execPath, CLI, "serve", "--host", "127.0.0.1", "--port", String(port)],
        env: { TIDINGS_DATA: data, TIDINGS_TOKEN: "a-token-for-the-bench" },
      }));
      while (!(await isReady(server.port))) await wait(2);
      times.push(performance.now() - begun);
      if (times === later) rss.push(server.rss() / 1024 / 1024);
      await server.stop();
    }
  }
  return {
    id: "start",
    title: "Start-up",
    about:
      "Milliseconds from the command `tidings serve` to the first 200 of `/readyz`: with no data yet, and with the SQLite file of a start before; and its memory then.",
    columns: [
      { name: "first start, ms", digits: 0 },
      { name: "later start, ms", digits: 0 },
      { name: "memory, MB", digits: 0 },
    ],
    rows: [{ id: "serve", name: "`tidings serve`", cells: [first, later, rss] }],
  };
}

async function isReady(port: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
}
