/** Readers that stop reading: what each costs, and what the others notice. */
import { PEERS } from "../peers.ts";
import { post } from "../processes.ts";
import { run, stop } from "../running.ts";
import type { Extent, Section } from "../section.ts";
import { quantile } from "../stats.ts";

const READERS = 1_000;
const DEAF = 1_000;

export async function slow({ turns, includes, tell }: Extent): Promise<Section> {
  const peers = PEERS.filter(({ id }) => ["ws", "tidings"].includes(id) && includes(id));
  const cells = new Map(peers.map(({ id }) => [id, [[], [], []] as [number[], number[], number[]]]));
  for (let turn = 1; turn <= turns; turn++) {
    for (const peer of peers) {
      tell(`slow readers of ${peer.id}, turn ${turn} of ${turns}`);
      const one = await run(peer, READERS, post("edited"));
      try {
        const { server, load } = one;
        await load.burst(4, 8);
        const before = await load.pace(10, 50);
        const rss = server.rss();
        await load.openDeaf(DEAF, peer.readersAt("live"));
        await load.burst(4, 4);
        const after = await load.pace(10, 50);
        const [memory, p99, p99WithDeaf] = cells.get(peer.id)!;
        memory.push((server.rss() - rss) / DEAF / 1024);
        p99.push(quantile(before.last, 0.99));
        p99WithDeaf.push(quantile(after.last, 0.99));
      } finally {
        await stop(one);
      }
    }
  }
  return {
    id: "slow",
    title: `${DEAF.toLocaleString("en")} readers that stop reading, beside ${READERS.toLocaleString("en")} that read`,
    about:
      "How much the server's memory grows for each that does not read, through 4 s of updates back to back; and the last " +
      "reader's p99 (ms, 50 updates a turn at 10 a second) without them and with them.",
    columns: [
      { name: "kB for each", digits: 1 },
      { name: "p99 without them", digits: 1 },
      { name: "p99 with them", digits: 1 },
    ],
    rows: peers.map(({ id, name }) => ({ id, name, cells: cells.get(id)! })),
  };
}
