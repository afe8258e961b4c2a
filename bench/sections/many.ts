/** Many readers of one page, and many pages with one reader each, in one `tidings serve`. */
import { existsSync, readFileSync } from "node:fs";
import { post, startLoad, startServer } from "../processes.ts";
import { type Extent, type Section, valuesOf } from "../section.ts";
import { serve, TOKEN } from "../serve.ts";

/** What server and client have open besides sockets of readers; `tidings serve` itself keeps 100 (src/app/open-files.ts). */
const OTHER_FILES = 150;
const MOST = Math.min(20_000, openFiles() - OTHER_FILES);
const IDLE_SECONDS = 10;

interface Site {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly readers: number;
}

const SITES: readonly Site[] = [
  {
    id: "readers",
    name: `${MOST.toLocaleString("en")} readers of one page`,
    path: "/ws/channel/live/?cursor=",
    readers: MOST,
  },
  {
    id: "pages",
    name: "5,000 pages with a reader each",
    path: "/ws/channel/other-%d/?cursor=",
    readers: 5_000,
  },
];

export async function many({ turns, tell }: Extent): Promise<Section> {
  const values = valuesOf(SITES);
  for (let turn = 1; turn <= turns; turn++) {
    for (const site of SITES) {
      tell(`many: ${site.name}, turn ${turn} of ${turns}`);
      values.add(site.id, await measure(site));
    }
  }
  return {
    id: "many",
    title: "Many readers, many pages",
    about:
      "One `tidings serve` with SQLite: readers that enter each second, 64 at a time, how busy that keeps the load client, and the server's CPU for each; how much its memory (RSS) grows for each; the CPU that it " +
      "uses while nothing happens; and for an update to the first page, published over HTTP, the CPU and the time until all of that page have it.",
    columns: [
      { name: "readers enter a second", digits: 0 },
      { name: "client busy, %", digits: 0 },
      { name: "CPU µs to enter", digits: 0 },
      { name: "kB a reader", digits: 1 },
      { name: "idle, CPU ms a second", digits: 1 },
      { name: "CPU ms an update", digits: 1 },
      { name: "ms to all", digits: 0 },
    ],
    rows: values.rows(),
  };
}

async function measure({ path, readers }: Site): Promise<number[]> {
  const server = await startServer(
    serve({ TIDINGS_TRUSTED_HTML: "true" }), // the load client's marks are no HTML for readers
  );
  const load = startLoad({
    port: server.port,
    publish: "/api/channels/live/updates",
    body: post("edited"),
    header: `Authorization: Bearer ${TOKEN}\r\n`,
  });
  const others = startLoad({ port: server.port, publish: "" });
  /** All answer the server's pings: whoever does not is let go. */
  const idle = async (seconds: number) => {
    await Promise.all([load.idle(seconds), others.idle(seconds)]);
  };
  try {
    const isOnePage = !path.includes("%d");
    await load.open(100, "/ws/channel/live/?cursor=");
    await load.burst(1, 1);
    const [rss, cpu] = [server.rss(), server.cpu()];
    const { perSecond, clientCpu, sec } = await (isOnePage ? load : others).open(readers - 100, path);
    const entering = (server.cpu() - cpu) / (readers - 100);
    await idle(2);
    const grown = (server.rss() - rss) / (readers - 100);
    const before = server.cpu();
    await idle(IDLE_SECONDS);
    const waiting = (server.cpu() - before) / IDLE_SECONDS;
    const published = server.cpu();
    const burst = await load.burst(1, 3);
    const update = (server.cpu() - published) / burst.updates;
    return [
      perSecond,
      (clientCpu / sec) * 100,
      entering * 1e6,
      grown / 1024,
      waiting * 1e3,
      update * 1e3,
      (burst.sec / burst.updates) * 1e3,
    ];
  } finally {
    await load.end();
    await others.end();
    await server.stop();
  }
}

function openFiles(): number {
  const file = "/proc/self/limits";
  const limits = existsSync(file) ? readFileSync(file, "utf8") : "";
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}
