/** At a lively page's pace: how long until half of the readers, and until the last of them, have an update. */
import type { Paced } from "../processes.ts";
import { lineUp, peersHere } from "../running.ts";
import type { Extent, Section } from "../section.ts";
import { quantile, ratios } from "../stats.ts";

const READERS = 2_000;
const PER_SECOND = 10;
const BASE = "ws";
/** In the quick bench, those that the others are measured by. */
const QUICK: ReadonlySet<string> = new Set(["ws", "tidings", "bun"]);

export async function latency({ isFull, turns, includes, tell }: Extent): Promise<Section> {
  // Some hundreds in all turns: of fewer, a p99 is the worst of them.
  const updates = isFull ? 60 : 40;
  const { peers, leftOut } = peersHere((id) => includes(id) && (isFull || QUICK.has(id)));
  const line = lineUp();
  const paced = new Map<string, Paced[]>();
  try {
    for (const peer of peers) {
      await line.enter(peer, READERS, 1);
      paced.set(peer.id, []);
    }
    for (let turn = 1; turn <= turns; turn++) {
      tell(`latency, turn ${turn} of ${turns}`);
      await line.each(turn, async ({ peer, load }) => {
        paced.get(peer.id)!.push(await load.pace(PER_SECOND, updates));
      });
    }
  } finally {
    await line.stop();
  }
  const middles = (id: string, who: "half" | "last") =>
    (paced.get(id) ?? []).map((turn) => quantile(turn[who], 0.5));
  return {
    id: "latency",
    title: `Latency, ${READERS.toLocaleString("en")} readers, ${PER_SECOND} updates a second`,
    about:
      `Milliseconds from the time an update was due to be posted until the median reader, and the last of all readers, had it. ` +
      `p50 of each turn's ${updates} updates, and that by the p50 of the \`ws\` loop in the same turn; p99 of the ${updates * turns} of all turns together.`,
    columns: ["median reader p50", "last reader p50"].flatMap((name) => [
      { name, digits: 1 },
      { name: "by `ws`", digits: 2 },
      { name: "p99", digits: 1 },
    ]),
    rows: line.running.map(({ peer: { id, name } }) => {
      const all = paced.get(id)!;
      const cells = (["half", "last"] as const).flatMap((who) => [
        middles(id, who),
        ratios(middles(id, who), middles(BASE, who)),
        [
          quantile(
            all.flatMap((turn) => turn[who]),
            0.99,
          ),
        ],
      ]);
      return { id, name, cells };
    }),
    leftOut: [...leftOut, ...line.leftOut],
  };
}
