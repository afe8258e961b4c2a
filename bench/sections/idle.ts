/** Readers that only wait: how fast they enter, and what memory each takes. */
import { startLoad, startServer } from "../processes.ts";
import { peersHere } from "../running.ts";
import { type Extent, inTurn, type Section, valuesOf } from "../section.ts";

const READERS = 5_000;

export async function idle({ turns, includes, tell }: Extent): Promise<Section> {
  const { peers, leftOut } = peersHere(includes);
  const values = valuesOf(peers);
  for (let turn = 1; turn <= turns; turn++) {
    for (const peer of inTurn(peers, turn)) {
      tell(`${READERS} idle readers of ${peer.id}, turn ${turn} of ${turns}`);
      const server = await startServer(peer.start);
      const load = startLoad({ port: server.port, publish: "/publish/live", ...peer.load });
      try {
        await load.idle(0.5);
        const [cpu, rss] = [server.cpu(), server.rss()];
        const { perSecond, clientCpu, sec } = await load.open(READERS, peer.readersAt("live"));
        const used = server.cpu() - cpu;
        await load.idle(2);
        const grown = server.rss() - rss;
        values.add(peer.id, [
          grown / READERS / 1024,
          perSecond,
          (clientCpu / sec) * 100,
          (used / READERS) * 1e6,
        ]);
      } finally {
        await load.end();
        await server.stop();
      }
    }
  }
  return {
    id: "idle",
    title: `${READERS.toLocaleString("en")} readers that wait`,
    about:
      "How much the memory of the server's processes (RSS) grows for each reader that enters and waits, without the kernel's " +
      "share and with no collection of garbage forced; readers that enter each second, 64 at a time; how busy that keeps the load client; server CPU for each.",
    columns: [
      { name: "kB a reader", digits: 1 },
      { name: "readers enter a second", digits: 0 },
      { name: "client busy, %", digits: 0 },
      { name: "CPU µs to enter", digits: 0 },
    ],
    rows: values.rows(),
    leftOut,
  };
}
