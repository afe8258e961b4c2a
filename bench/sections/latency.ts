/** At a lively page's pace: how long until half of the readers, and until the last of them, have an update. */
import { PEERS } from "../peers.ts";
import type { Paced } from "../processes.ts";
import type { Extent, Section } from "../section.ts";
import { quantile } from "../stats.ts";
import { mustBeWhole, type Running, run, stop } from "./fan-out.ts";

const READERS = 2_000;
const PER_SECOND = 10;
/** In the quick bench, those that the others are measured by. */
const QUICK: ReadonlySet<string> = new Set(["ws", "tidings", "bun"]);

export async function latency({ isFull, turns, includes, tell }: Extent): Promise<Section> {
  const updates = isFull ? 50 : 20;
  const running: Running[] = [];
  const paced = new Map<string, Paced[]>();
  try {
    for (const peer of PEERS) {
      if (peer.missing || !includes(peer.id) || !(isFull || QUICK.has(peer.id))) continue;
      const one = await run(peer, READERS);
      running.push(one);
      await one.load.burst(1, 1.5);
      paced.set(peer.id, []);
    }
    for (let turn = 1; turn <= turns; turn++) {
      tell(`latency, turn ${turn} of ${turns}`);
      for (const { peer, load } of running) {
        const turnOf = await load.pace(PER_SECOND, updates);
        mustBeWhole(peer.name, turnOf);
        paced.get(peer.id)!.push(turnOf);
      }
    }
  } finally {
    for (const one of running) await stop(one);
  }
  return {
    id: "latency",
    title: `Latency, ${READERS.toLocaleString("en")} readers, ${PER_SECOND} updates a second`,
    about:
      `Milliseconds from the time an update was due to be posted until the median reader, and the last of all readers, had it. ` +
      `p50 of each turn's ${updates} updates; p99 of all turns' together.`,
    columns: ["median reader p50", "p99", "last reader p50", "p99"].map((name) => ({ name, digits: 1 })),
    rows: running.map(({ peer: { id, name } }) => {
      const all = paced.get(id)!;
      const cells = (["half", "last"] as const).flatMap((who) => [
        all.map((turn) => quantile(turn[who], 0.5)),
        [
          quantile(
            all.flatMap((turn) => turn[who]),
            0.99,
          ),
        ],
      ]);
      return { id, name, cells };
    }),
  };
}
