import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cuttable, cuttable } from "../support/cuttable.ts";
import { describeWith } from "../support/describe-with.ts";
import { ModelReader, seqOf } from "../support/reader.ts";
import { type Served, serve } from "../support/serve.ts";
import { request, text } from "../support/server.ts";
import { type BusKind, type Service, startService } from "../support/services.ts";

const TOKEN = "hush-hush-hush-hush";
/** How many connections a process holds to each bus (docs/buses.md). */
const CONNECTIONS: Readonly<Record<BusKind, number>> = { redis: 2, nats: 1, postgres: 2, rabbitmq: 1 };
const BUSES = Object.keys(CONNECTIONS) as readonly BusKind[];

/** Connections of this machine to a port of it that are established. */
function establishedTo(port: number): number {
  const ESTABLISHED = "01";
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , to, state]) => to?.endsWith(remote) && state === ESTABLISHED).length;
}

/** Three processes of one site, and what they stand on. */
interface Site {
  readonly servers: readonly Served[];
  readonly store: Service;
  readonly bus: Service;
  /** The way from the servers to the store. */
  readonly way: Cuttable;
  end(): Promise<void>;
}

async function startSite(kind: BusKind): Promise<Site> {
  const [store, bus] = await Promise.all([startService("postgres"), startService(kind)]);
  const way = await cuttable(store.url.replace("postgres:", "http:"));
  const env = {
    TIDINGS_TOKEN: TOKEN,
    TIDINGS_STORE: store.url.replace(String(store.port), new URL(way.url).port),
    TIDINGS_BUS: bus.url,
    TIDINGS_LOG_LEVEL: "error",
  };
  // At the same moment, on an empty database.
  const servers = await Promise.all([serve(env), serve(env), serve(env)]);
  return {
    servers,
    store,
    bus,
    way,
    async end() {
      await Promise.all(servers.map((server) => server.stop()));
      await way.close();
      await Promise.all([store.close(), bus.close()]);
    },
  };
}

const api = (server: Served, method: string, path: string, body?: unknown, headers = {}) =>
  request(server.url, method, path, body, { authorization: `Bearer ${TOKEN}`, ...headers });

/** One change, sent until it is answered: a post made, edited, hidden, shown or deleted. */
async function change(servers: readonly Served[], channel: string, n: number, ids: string[]): Promise<void> {
  const path = `/api/pages/${channel}/posts`;
  const key = { "idempotency-key": `${channel}-${n}` };
  const known = ids[Math.floor(Math.random() * ids.length)];
  for (let tries = 0; ; tries++) {
    const server = servers[(n + tries) % servers.length]!;
    const call =
      known === undefined || n % 3 === 0
        ? api(server, "POST", path, text(`Post ${n}`), key)
        : n % 7 === 0
          ? api(server, "DELETE", `${path}/${known}`)
          : api(server, "PATCH", `${path}/${known}`, n % 5 === 0 ? { show: n % 2 === 0 } : text(`Edit ${n}`));
    const answer = await call.catch(() => undefined);
    if (answer?.status === 201 && answer.json.id) ids.push(answer.json.id);
    if (answer && answer.status < 500) return; // a 404 is a post that another writer deleted
    if (tries > 200) throw new Error(`never answered: ${answer?.text}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The store's page: id and a piece of its text, newest first. */
async function stored(
  server: Served,
  channel: string,
): Promise<{ cursor: string; posts: [string, string][] }> {
  const { json } = await api(server, "GET", `/api/channels/${channel}`);
  const posts: [string, string][] = [];
  for (let after = ""; ; ) {
    const part = (await api(server, "GET", `/api/pages/${channel}/posts?limit=200${after}`)).json;
    for (const { id, show, content } of part.items) if (show) posts.push([id, content[0].value]);
    if (part.next === null) return { cursor: json.cursor, posts };
    after = `&after=${part.next}`;
  }
}

async function expectEqual(
  readers: readonly ModelReader[],
  server: Served,
  channel: string,
  timeout = 20_000,
) {
  const { cursor, posts } = await stored(server, channel);
  for (const reader of readers) {
    await expect.poll(() => reader.cursor, { timeout }).toBe(cursor);
    const seen = reader.seen();
    expect(seen.map(([id]) => id)).toEqual(posts.map(([id]) => id));
    for (const [i, [, html]] of seen.entries()) expect(html).toContain(`>${posts[i]![1]}<`);
    expect(reader.faults).toEqual([]);
  }
}

describe.each(BUSES)("three servers on one Postgres, joined by %s", (kind) => {
  describeWith("postgres", () => {
    describeWith(kind, () => {
      let site: Site;
      let channel: string;
      let count = 0;
      const readers: ModelReader[] = [];

      beforeAll(async () => {
        site = await startSite(kind);
      }, 120_000);
      afterAll(async () => {
        for (const reader of readers) reader.end();
        await site?.end();
      }, 60_000);

      async function open(perServer: number): Promise<ModelReader[]> {
        channel = `page-${++count}`;
        await api(site.servers[0]!, "POST", "/api/pages", { channelId: channel, title: channel });
        const { cursor } = await stored(site.servers[0]!, channel);
        const opened = site.servers.flatMap(({ url }) =>
          Array.from({ length: perServer }, () => new ModelReader(url, channel, cursor)),
        );
        await Promise.all(opened.map((reader) => reader.connect()));
        readers.push(...opened);
        return opened;
      }

      it("started at the same moment, they made one schema and one welcome page", async () => {
        for (const server of site.servers) {
          const { json } = await api(server, "GET", "/api/pages");
          expect(json.items).toHaveLength(1);
          expect(json.items[0]).toMatchObject({ channelId: "welcome", posts: 1 });
        }
      });

      /** The kernel's count of connections to the bus: what docs/buses.md says, however much was published. */
      async function expectConnections(): Promise<void> {
        if (!existsSync("/proc/net/tcp")) return; // only Linux tells
        const count = () => establishedTo(site.bus.port);
        await expect.poll(count, { timeout: 10_000 }).toBe(site.servers.length * CONNECTIONS[kind]);
      }

      it("readers on each see what 20 writers send to any, in one order, with the same cursors", async () => {
        const opened = await open(5);
        const ids: string[] = [];
        let n = 0;
        const writer = async () => {
          while (n < 400) await change(site.servers, channel, n++, ids);
        };
        await Promise.all(Array.from({ length: 20 }, writer));
        await expectEqual(opened, site.servers[1]!, channel);
        await expectConnections();
      });

      it("a reader that goes on at another server gets only what it missed", async () => {
        const [reader] = await open(1);
        const ids: string[] = [];
        for (let n = 0; n < 9; n += 3) await change(site.servers, channel, n, ids);
        await expectEqual([reader!], site.servers[2]!, channel);
        const before = reader!.frames;
        await reader!.moveTo(site.servers[1]!.url);
        await reader!.moveTo(site.servers[2]!.url);
        expect(reader!.frames).toBe(before);
        await change(site.servers, channel, 9, ids);
        await expectEqual([reader!], site.servers[2]!, channel);
        expect(reader!.frames).toBe(before + 1);
      });

      it("the bus's server is gone for 10 s while posts go on: readers are equal during it, and after", async () => {
        const opened = await open(3);
        const ids: string[] = [];
        let n = 0;
        let isOver = false;
        const writing = (async () => {
          while (!isOver) {
            await change(site.servers, channel, n++, ids);
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        })();
        await site.bus.kill();
        await new Promise((resolve) => setTimeout(resolve, 8_000));
        // What was posted by now is before all readers two seconds later: the hub asks the log.
        const { cursor } = await stored(site.servers[0]!, channel);
        for (const reader of opened) {
          await expect
            .poll(() => seqOf(reader.cursor), { timeout: 2_000 })
            .toBeGreaterThanOrEqual(seqOf(cursor));
        }
        await site.bus.start();
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        isOver = true;
        await writing;
        await expectEqual(opened, site.servers[0]!, channel);
        for (const { child } of site.servers) expect(child.exitCode).toBe(null);
        // The bus listens again: readiness says so, within its back-off.
        for (const server of site.servers) {
          const bus = () => request(server.url, "GET", "/readyz").then(({ json }) => json.bus);
          await expect.poll(bus, { timeout: 30_000 }).toBe("up");
        }
        await expectConnections();
      }, 90_000);

      it("the store cannot be reached for 5 s: no server ends, nothing acknowledged is lost", async () => {
        const opened = await open(3);
        const ids: string[] = [];
        let n = 0;
        for (; n < 20; n++) await change(site.servers, channel, n, ids);
        const writing = Promise.all(
          Array.from({ length: 4 }, async () => {
            while (n < 120) {
              await change(site.servers, channel, n++, ids);
              await new Promise((resolve) => setTimeout(resolve, 50));
            }
          }),
        );
        site.way.cut();
        await new Promise((resolve) => setTimeout(resolve, 5_000));
        site.way.mend();
        await writing;
        await expectEqual(opened, site.servers[2]!, channel, 30_000);
        for (const { child } of site.servers) expect(child.exitCode).toBe(null);
      }, 90_000);
    });
  });
});
