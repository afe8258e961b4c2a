/** What it takes to tell a reader that comes back what it has missed, by how much has happened since. */
import { join } from "node:path";
import { WebSocket } from "ws";
import { PEERS } from "../peers.ts";
import { folder, startServer } from "../processes.ts";
import { type Extent, inTurn, type Section, valuesOf } from "../section.ts";
import { quantile } from "../stats.ts";

const POSTS = 100;
/** Updates behind the head. */
const AGES = [0, 1, 100, 10_000] as const;
const JOINS = 100;

/** @param kind of log */
export async function catchUp(kind: "memory" | "SQLite", { turns, tell }: Extent): Promise<Section> {
  const peer = PEERS.find(({ id }) => id === "tidings")!;
  const server = await startServer((port) => {
    const start = peer.start(port);
    return kind === "memory" ? start : { ...start, env: { LOG: join(folder, "catch-up.sqlite") } };
  });
  const url = `http://127.0.0.1:${server.port}`;
  const prepare = (body: object) => fetch(`${url}/prepare`, { method: "POST", body: JSON.stringify(body) });
  const cursors: { age: number; cursor: string }[] = [];
  const values = valuesOf(
    AGES.map((age) => ({ id: String(age), name: `${age.toLocaleString("en")} updates behind` })),
  );
  try {
    await prepare({ posts: POSTS });
    const cursorNow = async () => await (await fetch(`${url}/cursor`)).text();
    let toCome = AGES.at(-1)!;
    for (const age of AGES.toReversed()) {
      // So many edits from where the one before stands, that in the end it is so far behind.
      if (toCome > age) await prepare({ edits: toCome - age, among: POSTS });
      toCome = age;
      cursors.push({ age, cursor: await cursorNow() });
    }
    for (let turn = 0; turn <= turns; turn++) {
      tell(`catching up over ${kind}, turn ${turn} of ${turns}`);
      for (const { age, cursor } of inTurn(cursors, turn)) {
        const before = server.cpu();
        const [times, sizes]: [number[], number[]] = [[], []];
        for (let n = 0; n < JOINS; n++) {
          const { ms, bytes } = await comeBack(
            `ws://127.0.0.1:${server.port}${peer.readersAt("live")}${cursor}`,
            age > 0,
          );
          times.push(ms);
          sizes.push(bytes);
        }
        // The first turn only warms up.
        if (turn === 0) continue;
        const cpu = (server.cpu() - before) / JOINS;
        values.add(String(age), [quantile(times, 0.5), cpu * 1e6, quantile(sizes, 0.5) / 1_000]);
      }
    }
  } finally {
    await server.stop();
  }
  return {
    id: `catch-up-${kind.toLowerCase()}`,
    title: `Catching up, by the age of the cursor (${kind})`,
    about:
      `A page of ${POSTS} posts that are edited in turn; readers come back one at a time, each with a cursor so many updates behind. Milliseconds from ` +
      "dialling to the frame with what was missed (with nothing missed: to the open connection), server CPU for each, and the frame: at most one version of each post.",
    columns: [
      { name: "ms, p50", digits: 2 },
      { name: "CPU µs", digits: 0 },
      { name: "kB", digits: 1 },
    ],
    rows: values.rows(),
  };
}

/** Comes back once; resolves with how long it took until it was up to date, and what it was sent. */
function comeBack(url: string, hasMissed: boolean): Promise<{ ms: number; bytes: number }> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const done = (bytes: number) => {
      const ms = performance.now() - begun;
      socket.terminate();
      resolve({ ms, bytes });
    };
    socket.on("error", reject);
    if (hasMissed) socket.on("message", (data: Buffer) => done(data.length));
    else socket.on("open", () => done(0));
  });
}
