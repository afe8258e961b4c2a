/** One update to every reader of a page: what it costs the server, and how many are delivered each second. */
import { PEERS, type Peer } from "../peers.ts";
import { type Burst, type Load, type Started, startLoad, startServer } from "../processes.ts";
import type { Extent, Row, Section } from "../section.ts";
import { ratios } from "../stats.ts";

/** Updates outstanding: with one, nothing can be joined. */
export const OUTSTANDING = [1, 4] as const;
const BASE = "ws";
const WARM_UP_SECONDS = 1.5;
/** Before each burst, for what other peers' turns left of the caches. */
const WAKE_UP_SECONDS = 0.2;

export interface Running {
  readonly peer: Peer;
  readonly server: Started;
  readonly load: Load;
}

/** Starts a peer, with readers on the page `live`. */
export async function run(peer: Peer, readers: number, body?: string): Promise<Running> {
  const server = await startServer(peer.start);
  const load = startLoad({ port: server.port, publish: "/publish/live", body, ...peer.load });
  try {
    await load.open(readers, peer.readersAt("live"));
  } catch (error) {
    await stop({ load, server });
    throw error;
  }
  return { peer, server, load };
}

export async function stop({ load, server }: Pick<Running, "load" | "server">): Promise<void> {
  await load.end();
  await server.stop();
}

export interface Measured {
  /** Server CPU-seconds for a million deliveries. */
  readonly cpuPerMillion: number;
  readonly perSecond: number;
  /** On the wire, for each delivery. */
  readonly bytes: number;
  /** Updates in one read of a client: how far they came joined. */
  readonly joined: number;
  /** Shares of a core, 0 to 1. */
  readonly serverBusy: number;
  readonly clientBusy: number;
}

export async function measure(
  { peer, server, load }: Running,
  outstanding: number,
  seconds: number,
): Promise<Measured> {
  await load.burst(outstanding, WAKE_UP_SECONDS);
  const before = server.cpu();
  const burst = await load.burst(outstanding, seconds);
  const cpu = server.cpu() - before;
  mustBeWhole(peer.name, burst);
  return {
    cpuPerMillion: (cpu / burst.deliveries) * 1e6,
    perSecond: burst.deliveries / burst.sec,
    bytes: burst.bytes / burst.deliveries,
    joined: burst.deliveries / burst.reads,
    serverBusy: cpu / burst.sec,
    clientBusy: burst.clientCpu / burst.sec,
  };
}

/** A peer that loses updates, or readers, is not measured: it did other work. */
export function mustBeWhole(name: string, { bad, gone }: Pick<Burst, "bad" | "gone">): void {
  if (bad > 0 || gone > 0) throw new Error(`${name}: ${bad} frames wrong, ${gone} readers gone`);
}

export async function fanOut(readers: number, { isFull, turns, includes, tell }: Extent): Promise<Section> {
  const seconds = isFull ? 2 : 1;
  const running: Running[] = [];
  const measured = new Map<string, Measured[]>();
  try {
    for (const peer of PEERS.filter(({ id, missing }) => !missing && includes(id))) {
      tell(`${peer.id}: ${readers} readers`);
      const one = await run(peer, readers);
      running.push(one);
      await one.load.burst(4, WARM_UP_SECONDS);
      for (const outstanding of OUTSTANDING) measured.set(`${peer.id} ${outstanding}`, []);
    }
    for (let turn = 1; turn <= turns; turn++) {
      tell(`fan-out to ${readers} readers, turn ${turn} of ${turns}`);
      for (const outstanding of OUTSTANDING) {
        for (const one of running) {
          measured.get(`${one.peer.id} ${outstanding}`)!.push(await measure(one, outstanding, seconds));
        }
      }
    }
  } finally {
    for (const one of running) await stop(one);
  }
  const of = (id: string, outstanding: number, key: keyof Measured) =>
    measured.get(`${id} ${outstanding}`)?.map((turn) => turn[key]) ?? [];
  const rows = running.map(({ peer: { id, name } }): Row => {
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
  };
}
