/** From an editor at one server to a reader at another: through the API, the store, and each bus. */
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { WebSocket } from "ws";
import { type BusKind, isInstalled, type Service, startService } from "../../test/support/services.ts";
import { type Started, startServer } from "../processes.ts";
import { type Extent, inTurn, type Row, type Section } from "../section.ts";
import { serve, TOKEN } from "../serve.ts";
import { quantile } from "../stats.ts";

const KINDS: readonly BusKind[] = ["redis", "nats", "postgres", "rabbitmq"];
const POSTS = 100;
const HEADERS = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };

const QUIET = { TIDINGS_LOG_LEVEL: "error" };

interface Contestant {
  readonly id: string;
  readonly name: string;
  readonly writer: Started;
  readonly reader: WebSocket;
}

export async function throughBuses({ turns, tell }: Extent): Promise<Section> {
  const ends: (() => Promise<unknown>)[] = [];
  const contestants: Contestant[] = [];
  const times = new Map<string, number[][]>();
  try {
    const store = await startService("postgres");
    ends.push(store.close);
    const enter = async (id: string, name: string, servers: readonly Started[]) => {
      ends.push(...servers.map((server) => server.stop));
      const [writer] = servers;
      await call(writer!, "/api/pages", { channelId: `live-${id}`, title: "Bench" });
      const at = `ws://127.0.0.1:${servers.at(-1)!.port}/ws/channel/live-${id}/?cursor=`;
      const reader = new WebSocket(at, { origin: `http://127.0.0.1:${servers.at(-1)!.port}` });
      await once(reader, "open");
      contestants.push({ id, name, writer: writer!, reader });
      times.set(id, []);
    };
    tell("buses: one server");
    await enter("memory", "one server, SQLite", [await startServer(serve(QUIET))]);
    for (const kind of KINDS.filter(isInstalled)) {
      tell(`buses: ${kind}`);
      const bus: Service = kind === "postgres" ? store : await startService(kind);
      if (bus !== store) ends.push(bus.close);
      const env = { ...QUIET, TIDINGS_STORE: store.url, TIDINGS_BUS: bus.url };
      await enter(kind, `two servers, Postgres, bus ${kind}`, [
        await startServer(serve(env)),
        await startServer(serve(env)),
      ]);
    }
    for (let turn = 0; turn <= turns; turn++) {
      tell(`through buses, turn ${turn} of ${turns}`);
      for (const { id, writer, reader } of inTurn(contestants, turn)) {
        const ofTurn = await postSome(writer, reader, `live-${id}`);
        // The first turn only warms up.
        if (turn > 0) times.get(id)!.push(ofTurn);
      }
    }
  } finally {
    for (const { reader } of contestants) reader.terminate();
    for (const end of ends.toReversed()) await end();
  }
  return {
    id: "buses",
    title: "From the editor to a reader at another server",
    about:
      `Milliseconds from the editor's request (a new post, over HTTP, on disk before it is answered) to the frame at a reader of another server of the site; ${POSTS} posts a turn, one at a time. p50 of each turn's, p99 of the ${POSTS * turns} of all turns together. ` +
      "All of it shares one core. What the buses alone do: [buses](buses.md).",
    columns: [
      { name: "p50", digits: 1 },
      { name: "p99", digits: 1 },
    ],
    rows: contestants.map(({ id, name }): Row => {
      const all = times.get(id)!;
      return { id, name, cells: [all.map((ofTurn) => quantile(ofTurn, 0.5)), [quantile(all.flat(), 0.99)]] };
    }),
    leftOut: KINDS.filter((kind) => !isInstalled(kind)).map((kind) => `${kind} (not installed)`),
  };
}

async function postSome(writer: Started, reader: WebSocket, channel: string): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < POSTS; n++) {
    await wait(10);
    const begun = performance.now();
    const came = once(reader, "message").then(() => performance.now() - begun);
    await call(writer, `/api/pages/${channel}/posts`, { content: [{ type: "text", value: `Post ${n}` }] });
    times.push(await came);
  }
  return times;
}

async function call({ port }: Started, path: string, body: object): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: HEADERS,
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}
