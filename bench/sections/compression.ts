/** permessage-deflate: bytes on the wire and server CPU, asked for and not. */
import { PEERS, type Peer } from "../peers.ts";
import { post } from "../processes.ts";
import type { Extent, Section } from "../section.ts";
import { measure, run, stop } from "./fan-out.ts";

const READERS = 1_000;
const POSTED = post().split("\n")[0]!.length;

export async function compression({ turns, includes, tell }: Extent): Promise<Section> {
  const [ws, tidings] = ["ws", "tidings"].map((name) => PEERS.find(({ id }) => id === name)!);
  const deflated = (peer: Peer): Peer => ({
    ...peer,
    id: `${peer.id}-deflate`,
    name: `${peer.name}, deflate asked for`,
    start: (port) => ({ ...peer.start(port), env: { DEFLATE: "1" } }),
    load: { deflate: true },
  });
  const peers = [ws!, deflated(ws!), tidings!, deflated(tidings!)].filter(({ id }) =>
    includes(id.replace("-deflate", "")),
  );
  const cells = new Map(peers.map(({ id }) => [id, [[], []] as [number[], number[]]]));
  const running = [];
  try {
    for (const peer of peers) {
      const one = await run(peer, READERS);
      running.push(one);
      await one.load.burst(1, 1.5);
    }
    for (let turn = 1; turn <= turns; turn++) {
      tell(`compression, turn ${turn} of ${turns}`);
      for (const one of running) {
        const { bytes, cpuPerMillion } = await measure(one, 4, 1.5);
        cells.get(one.peer.id)![0].push(bytes);
        cells.get(one.peer.id)![1].push(cpuPerMillion);
      }
    }
  } finally {
    for (const one of running) await stop(one);
  }
  return {
    id: "compression",
    title: "With compression, and without",
    about:
      `Bytes on the wire for one delivery of an update (${POSTED} bytes as it is posted), and server CPU-seconds for a ` +
      `million of them, ${READERS.toLocaleString("en")} readers, 4 updates outstanding. \`ws\` compresses for each reader, Tidings once for all.`,
    columns: [
      { name: "bytes a delivery", digits: 0 },
      { name: "CPU s / million", digits: 2 },
    ],
    rows: peers.map(({ id, name }) => ({ id, name, cells: cells.get(id)! })),
  };
}
