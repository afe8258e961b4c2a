/** From `tidings serve` to a server that says it is ready. */
import { setTimeout as wait } from "node:timers/promises";
import { startServer } from "../processes.ts";
import type { Extent, Section } from "../section.ts";
import { serve } from "../serve.ts";

export async function start({ turns, tell }: Extent): Promise<Section> {
  tell("start-up");
  const [first, later, rss]: [number[], number[], number[]] = [[], [], []];
  for (let turn = 1; turn <= turns; turn++) {
    const command = serve();
    for (const times of [first, later]) {
      const begun = performance.now();
      const server = await startServer(command);
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
