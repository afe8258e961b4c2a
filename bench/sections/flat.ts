/** What an update costs must not depend on anything but its readers: other pages, posts on the page, age of the history. */
import { join } from "node:path";
import { PEERS } from "../peers.ts";
import { folder, post, startLoad, startServer } from "../processes.ts";
import { WAKE_UP_SECONDS } from "../running.ts";
import { type Extent, inTurn, type Section, valuesOf } from "../section.ts";
import type { Prepared } from "../servers/updates.ts";
import { ratios } from "../stats.ts";

const READERS = 100;

interface Site {
  readonly id: string;
  readonly name: string;
  readonly prepared: Prepared;
  /** Other pages, with a reader each. */
  readonly read?: number;
}

const SITES: readonly Site[] = [
  { id: "alone", name: "one page, 10 posts", prepared: { posts: 10 } },
  {
    id: "pages-read",
    name: "beside 5,000 pages with readers",
    prepared: { posts: 10, pages: 5_000 },
    read: 5_000,
  },
  { id: "pages", name: "beside 100,000 pages without readers", prepared: { posts: 10, pages: 100_000 } },
  { id: "posts", name: "5,000 posts on the page", prepared: { posts: 5_000 } },
  { id: "age", name: "after 100,000 edits of 10 posts", prepared: { posts: 10, edits: 100_000 } },
];

/** @param kind of log */
export async function flat(kind: "memory" | "SQLite", { turns, tell, isFull }: Extent): Promise<Section> {
  const peer = PEERS.find(({ id }) => id === "tidings")!;
  const values = valuesOf(SITES);
  const running = [];
  try {
    for (const site of SITES) {
      tell(`flatness over ${kind}: ${site.name}`);
      const server = await startServer((port) => {
        const start = peer.start(port);
        return kind === "memory" ? start : { ...start, env: { LOG: join(folder, `flat-${site.id}.sqlite`) } };
      });
      const body = post("edited");
      const load = startLoad({ port: server.port, publish: "/publish/live", body });
      const others = startLoad({ port: server.port, publish: "/publish/other-0", body });
      running.push({ site, server, load, others });
      const prepared = await fetch(`http://127.0.0.1:${server.port}/prepare`, {
        method: "POST",
        body: JSON.stringify(site.prepared),
      });
      if (!prepared.ok) throw new Error(await prepared.text());
      await load.open(READERS, peer.readersAt("live"));
      if (site.read) await others.open(site.read, peer.readersAt("other-%d"));
      await load.burst(1, 2);
    }
    const seconds = isFull ? 3 : 1;
    for (let turn = 1; turn <= turns; turn++) {
      tell(`flatness over ${kind}, turn ${turn} of ${turns}`);
      for (const { site, server, load } of inTurn(running, turn)) {
        await load.burst(1, WAKE_UP_SECONDS);
        const cpu = server.cpu();
        const burst = await load.burst(1, seconds);
        const used = server.cpu() - cpu;
        values.add(site.id, [(used / burst.updates) * 1e6, (burst.sec / burst.updates) * 1e3]);
      }
    }
  } finally {
    for (const { server, load, others } of running) {
      await load.end();
      await others.end();
      await server.stop();
    }
  }
  const rows = values.rows();
  const alone = rows.find(({ id }) => id === "alone")!.cells[0]!;
  return {
    id: `flat-${kind.toLowerCase()}`,
    title: `What an update costs on a growing site (${kind})`,
    about:
      `Server CPU for one edit of one post of a page with ${READERS} readers, one update outstanding, the publishing over HTTP included; ` +
      "how long until all readers have it; and the CPU by that of one page alone, in the same turn.",
    columns: [
      { name: "CPU µs an update", digits: 0 },
      { name: "ms to all readers", digits: 2 },
      { name: "by one page alone", digits: 2 },
    ],
    rows: rows.map((row) => ({ ...row, cells: [...row.cells, ratios(row.cells[0]!, alone)] })),
  };
}
