/** One update to every reader of a page: what it costs the server, and how many are delivered each second. */
import { lineUp, type Measured, measure, peersHere } from "../running.ts";
import { type Extent, inTurn, type Row, type Section } from "../section.ts";
import { ratios } from "../stats.ts";

/** Updates outstanding: with one, nothing can be joined. */
const OUTSTANDING = [1, 4] as const;
const BASE = "ws";

export async function fanOut(readers: number, { isFull, turns, includes, tell }: Extent): Promise<Section> {
  const seconds = isFull ? 2 : 1;
  const { peers, leftOut } = peersHere(includes);
  const line = lineUp();
  const measured = new Map<string, Measured[]>();
  try {
    for (const peer of peers) {
      tell(`${peer.id}: ${readers} readers`);
      await line.enter(peer, readers, 4);
      for (const outstanding of OUTSTANDING) measured.set(`${peer.id} ${outstanding}`, []);
    }
    for (let turn = 1; turn <= turns; turn++) {
      tell(`fan-out to ${readers} readers, turn ${turn} of ${turns}`);
      for (const outstanding of inTurn(OUTSTANDING, turn)) {
        await line.each(turn, async (one) => {
          measured.get(`${one.peer.id} ${outstanding}`)!.push(await measure(one, outstanding, seconds));
        });
      }
    }
  } finally {
    await line.stop();
  }
  const of = (id: string, outstanding: number, key: keyof Measured) =>
    measured.get(`${id} ${outstanding}`)?.map((turn) => turn[key]) ?? [];
  const rows = line.running.map(({ peer: { id, name } }): Row => {
    const cells = OUTSTANDING.flatMap((outstanding) => {
      const cpu = of(id, outstanding, "cpuPerMillion");
      return [
        cpu,
        ratios(cpu, of(BASE, outstanding, "cpuPerMillion")),
        of(id, outstanding, "perSecond").map((value) => value / 1_000),
      ];
    });
    return { id, name, cells: [...cells, of(id, 4, "joined"), of(id, 4, "clientBusy").map((x) => x * 100)] };
  });
  return {
    id: `fan-out-${readers}`,
    title: `Fan-out, ${readers.toLocaleString("en")} readers`,
    about:
      "Server CPU-seconds for a million deliveries of one update to one reader, with at most 1 and at most 4 updates " +
      "outstanding (published, not yet with every reader); by those of the `ws` loop in the same turn; and deliveries a second.",
    columns: [
      ...OUTSTANDING.flatMap((outstanding) => [
        { name: `${outstanding} outstanding: CPU s / million`, digits: 2 },
        { name: "by `ws`", digits: 2 },
        { name: "1,000 / s", digits: 0 },
      ]),
      { name: "updates a read, at 4", digits: 1 },
      { name: "client busy, at 4, %", digits: 0 },
    ],
    rows,
    leftOut: [...leftOut, ...line.leftOut],
  };
}
