/** permessage-deflate: bytes on the wire and server CPU, asked for and not. */
import { PEERS, type Peer } from "../peers.ts";
import { post } from "../processes.ts";
import { lineUp, measure } from "../running.ts";
import { type Extent, type Section, valuesOf } from "../section.ts";

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
  const line = lineUp();
  const values = valuesOf(peers);
  try {
    for (const peer of peers) await line.enter(peer, READERS, 1);
    for (let turn = 1; turn <= turns; turn++) {
      tell(`compression, turn ${turn} of ${turns}`);
      await line.each(turn, async (one) => {
        const { bytes, cpuPerMillion } = await measure(one, 4, 1.5);
        values.add(one.peer.id, [bytes, cpuPerMillion]);
      });
    }
  } finally {
    await line.stop();
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
    rows: values.rows().filter(({ id }) => line.running.some(({ peer }) => peer.id === id)),
    leftOut: line.leftOut,
  };
}
