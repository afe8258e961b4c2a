/** Readers that stop reading: what each costs, and what the others notice. */
import { PEERS, type Peer } from "../peers.ts";
import { post } from "../processes.ts";
import { type Running, run, stop, WAKE_UP_SECONDS } from "../running.ts";
import { type Extent, inTurn, type Section, valuesOf } from "../section.ts";
import { quantile } from "../stats.ts";

/** What is published while they do not read: more than Tidings and the system hold for each. */
export interface Flow {
  readonly id: string;
  readonly name: string;
  /** The body of an update to one post. */
  readonly body: string;
  readonly perSecond: number;
  readonly updates: number;
  /** The pace at which the others' latency is measured. */
  readonly livelyPerSecond: number;
}

const READERS = 1_000;
const DEAF = 1_000;

const FLOWS: readonly Flow[] = [
  {
    id: "small",
    name: "600 updates of 1 kB",
    body: post("edited"),
    perSecond: 60,
    updates: 600,
    livelyPerSecond: 25,
  },
  {
    id: "large",
    name: "16 updates of 50 kB",
    body: postOf(50_000),
    perSecond: 4,
    updates: 16,
    livelyPerSecond: 8,
  },
];

export async function slow({ isFull, turns, includes, tell }: Extent): Promise<Section> {
  const rows = PEERS.filter(({ id }) => ["ws", "tidings"].includes(id) && includes(id)).flatMap((peer) =>
    FLOWS.map((flow) => ({
      peer,
      flow,
      id: `${peer.id}-${flow.id}`,
      name: `${peer.name}, ${flow.name}`,
    })),
  );
  const values = valuesOf(rows);
  for (let turn = 1; turn <= turns; turn++) {
    for (const { peer, flow, id, name } of inTurn(rows, turn)) {
      tell(`slow readers: ${name}, turn ${turn} of ${turns}`);
      values.add(id, await besideDeaf(peer, flow, READERS, DEAF, isFull ? 6 : 2, turn));
    }
  }
  return {
    id: "slow",
    title: `${DEAF.toLocaleString("en")} readers that stop reading, beside ${READERS.toLocaleString("en")} that read`,
    about:
      "Two servers alike, one of them with readers on the page that stop reading once they are in, through the same updates to one post. " +
      "How much more the one's memory grows with these updates than the other's, for each that does not read: what JavaScript holds after a " +
      "collection, buffers among it, and the process's memory (RSS). How many MB came late to each once they read again: Tidings leaves who does not read at 16 kB and tells " +
      "what they missed when they read; the loop's queue for each holds all, without a bound (here up to 6 GB for all). How many had been let go till then. And the p99 of the last of those that read (ms, 25 " +
      "updates of 1 kB or 8 of 50 kB a second, a second for each of the two servers in turn) without and with the others beside them, and the one by the other of the same turn. The system of the server holds some 60 kB more for each: what they are sent comes in segments as on Ethernet.",
    columns: [
      { name: "held, kB for each", digits: 1 },
      { name: "RSS, kB for each", digits: 1 },
      { name: "MB late to each", digits: 2 },
      { name: "let go", digits: 0 },
      { name: "p99 without them", digits: 1 },
      { name: "p99 with them", digits: 1 },
      { name: "with, by without", digits: 2 },
    ],
    rows: values.rows(),
  };
}

/** A value for each column. */
export async function besideDeaf(
  peer: Peer,
  flow: Flow,
  readers: number,
  deaf: number,
  rounds: number,
  turn: number,
): Promise<number[]> {
  const running: Running[] = [];
  try {
    const plain = await run(peer, readers, flow.body);
    running.push(plain);
    const beside = await run(peer, readers, flow.body);
    running.push(beside);
    for (const { load } of running) await load.burst(1, 1);
    const grown = [];
    for (const { load, server } of running) {
      // Not before, for those that answer no ping are let go after a while.
      if (server === beside.server) await load.openDeaf(deaf, peer.readersAt("live"));
      const [held, rss] = [await heldBy(server.port), server.rss()];
      await load.pace(flow.perSecond, flow.updates);
      grown.push([(await heldBy(server.port)) - held, server.rss() - rss] as const);
    }
    await mustLag(peer, beside, deaf);
    const lasts: number[][] = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const [i, { load }] of inTurn([...running.entries()], turn + round)) {
        // What rested while the other was measured is slower at first, and a p99 is of the slowest.
        await load.burst(1, WAKE_UP_SECONDS);
        lasts[i]!.push(...(await load.pace(flow.livelyPerSecond, flow.livelyPerSecond)).last);
      }
    }
    await mustLag(peer, beside, deaf);
    const { bytes, letGo } = await beside.load.wakeDeaf(1);
    await mustLag(peer, beside, 0);
    const [[held, rss], [heldBeside, rssBeside]] = grown as [
      readonly [number, number],
      readonly [number, number],
    ];
    const [without, withThem] = lasts.map((last) => quantile(last, 0.99)) as [number, number];
    return [
      (heldBeside - held) / deaf / 1_024,
      (rssBeside - rss) / deaf / 1_024,
      bytes / deaf / 1e6,
      letGo,
      without,
      withThem,
      withThem / without,
    ];
  } finally {
    for (const one of running) await stop(one);
  }
}

async function heldBy(port: number): Promise<number> {
  return Number(await ask(port, "/memory"));
}

/** Else what is measured is not what a slow reader costs. */
async function mustLag(peer: Peer, { server }: Running, expected: number): Promise<void> {
  if (peer.id !== "tidings") return;
  const { lagging } = JSON.parse(await ask(server.port, "/stats")) as { lagging: number };
  if (lagging !== expected) throw new Error(`${lagging} readers lag, not ${expected}`);
}

async function ask(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return response.text();
}

/** An update to one post with so many bytes of text. */
export function postOf(bytes: number): string {
  return post("edited")
    .split("\n", 1)[0]!
    .replace("<p>", `<p>${"The referee looks at his watch. ".repeat(bytes / 32)}`);
}
