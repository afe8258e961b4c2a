/** Peers that run beside each other, each with readers, and what is measured of one. */
import { PEERS, type Peer } from "./peers.ts";
import { type Load, type Started, startLoad, startServer } from "./processes.ts";
import { type Extent, inTurn } from "./section.ts";

const WARM_UP_SECONDS = 1.5;
/** Before each burst, for what other peers' turns left of the caches. */
export const WAKE_UP_SECONDS = 0.2;

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

/** Of those that are asked for, the peers that can be measured here, and what keeps the others from it. */
export function peersHere(includes: Extent["includes"]): { peers: Peer[]; leftOut: string[] } {
  const asked = PEERS.filter(({ id }) => includes(id));
  return {
    peers: asked.filter(({ missing }) => !missing),
    leftOut: asked.flatMap(({ name, missing }) => (missing ? [`${name} (${missing})`] : [])),
  };
}

/** Peers that are all up at once, and are measured in turns. One that fails is stopped alone, and left out. */
export interface LineUp {
  /** Those that have not failed. */
  readonly running: readonly Running[];
  readonly leftOut: readonly string[];
  /** Starts one more, and warms it up with so many updates outstanding. */
  enter(peer: Peer, readers: number, outstanding: number): Promise<void>;
  each(turn: number, measure: (one: Running) => Promise<unknown>): Promise<void>;
  stop(): Promise<void>;
}

export function lineUp(): LineUp {
  const running = new Set<Running>();
  const leftOut: string[] = [];
  const attempt = async (one: Running, work: (one: Running) => Promise<unknown>) => {
    try {
      await work(one);
    } catch (error) {
      leaveOut(one.peer, error);
      running.delete(one);
      await stop(one);
    }
  };
  const leaveOut = ({ name, id }: Peer, error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    console.error(`${id} is left out: ${why}`);
    // For a table's last line: what a server printed as it ended does not fit there.
    leftOut.push(`${name} (${why.split("\n", 1)[0]!.slice(-120)})`);
  };
  return {
    get running() {
      return [...running];
    },
    leftOut,
    async enter(peer, readers, outstanding) {
      try {
        const one = await run(peer, readers);
        running.add(one);
        await attempt(one, ({ load }) => load.burst(outstanding, WARM_UP_SECONDS));
      } catch (error) {
        leaveOut(peer, error);
      }
    },
    async each(turn, measure) {
      for (const one of inTurn([...running], turn)) await attempt(one, measure);
    },
    async stop() {
      for (const one of running) await stop(one);
    },
  };
}

export interface Measured {
  /** Server CPU-seconds for a million deliveries. */
  readonly cpuPerMillion: number;
  readonly perSecond: number;
  /** On the wire, for each delivery. */
  readonly bytes: number;
  /** Updates in one read of a client: how far they came joined. */
  readonly joined: number;
  /** The share of a core, 0 to 1. */
  readonly clientBusy: number;
}

export async function measure(
  { server, load }: Running,
  outstanding: number,
  seconds: number,
): Promise<Measured> {
  await load.burst(outstanding, WAKE_UP_SECONDS);
  const before = server.cpu();
  const burst = await load.burst(outstanding, seconds);
  const cpu = server.cpu() - before;
  return {
    cpuPerMillion: (cpu / burst.deliveries) * 1e6,
    perSecond: burst.deliveries / burst.sec,
    bytes: burst.bytes / burst.deliveries,
    joined: burst.deliveries / burst.reads,
    clientBusy: burst.clientCpu / burst.sec,
  };
}
