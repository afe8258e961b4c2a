import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { postgresBus } from "../../src/buses/postgres.ts";
import type { Announcement } from "../../src/protocol.ts";
import { busSuite } from "../../src/testing/bus-suite.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { outageTests } from "../support/outages.ts";
import { onPostgres } from "../support/postgres.ts";
import { type Service, startService } from "../support/services.ts";

let server: Service;
const open = () => postgresBus({ url: server.url });

describeWith("postgres", () => {
  beforeAll(async () => {
    server = await startService("postgres");
  });
  afterAll(() => server?.close());

  describe("over connections of its own", () => {
    busSuite({ describe, it }, { make: () => ({ value: quiet() }), join: quiet });

    outageTests(
      () => server,
      async (onError) => postgresBus({ url: server.url, onError }),
      12_000,
      7_000,
    );
  });

  describe("over the caller's pool", () => {
    const make = () => {
      const pool = newPool();
      return { value: postgresBus({ pool, onError: () => {} }), dispose: () => pool.end() };
    };
    busSuite({ describe, it }, { make });

    it("gives its connections back closed, so that nobody else hears its channels", async () => {
      const pool = newPool();
      onTestFinished(() => pool.end());
      const bus = postgresBus({ pool });
      await bus.subscribe("finals", () => {});
      expect(pool.totalCount).toBe(2);
      await bus.close();
      // The one listener is the pool's owner.
      await eventually(() => expect([pool.totalCount, pool.listenerCount("error")]).toEqual([0, 1]));
      await expect(pool.query("SELECT 1")).resolves.toBeTruthy();
    });
  });

  it("brings small updates whole, and those over its limit as their cursor alone", async () => {
    const bus = open();
    onTestFinished(() => bus.close());
    const channel = "日".repeat(255);
    const heard: Announcement[] = [];
    await bus.subscribe(channel, (announcement) => heard.push(announcement));
    const entry = (n: number, bytes: number) => ({
      renders: new Map([["1", { show: true, content: "x".repeat(bytes), at: 1 }]]),
      removals: [],
      cursor: `e.${n}`,
    });
    await bus.publish(channel, entry(1, 7_000));
    await bus.publish(channel, entry(2, 7_200));
    await eventually(() => expect(heard).toEqual([entry(1, 7_000), { cursor: "e.2" }]));
  });

  it("takes two connections, however many channels, and leaves nothing on the server", async () => {
    const pool = newPool();
    onTestFinished(() => pool.end());
    const clients: pg.PoolClient[] = [];
    pool.on("connect", (client) => clients.push(client));
    const bus = postgresBus({ pool });
    const names = Array.from({ length: 10_000 }, (_, n) => `channel ${n}`);
    const ends = await Promise.all(names.map((name) => bus.subscribe(name, () => {})));
    const listening = async () => {
      const { rows } = await clients[0]!.query("SELECT count(*)::int AS count FROM pg_listening_channels()");
      return rows[0].count;
    };
    expect(await listening()).toBe(10_000);
    expect(clients).toHaveLength(2);
    await Promise.all(ends.map((end) => end()));
    expect(await listening()).toBe(0);
    await bus.close();
  });

  it("a cut connection is replaced, and listens to everything again", async () => {
    const [statuses, heard]: string[][] = [[], []];
    const bus = quiet();
    onTestFinished(() => bus.close());
    bus.onStatus!((status) => statuses!.push(status));
    await bus.subscribe("finals", ({ cursor }) => heard!.push(cursor));
    const cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidings'";
    await onPostgres(server.url, cut);
    await eventually(() => expect(statuses).toEqual(["down", "up"]));
    await bus.publish("finals", { cursor: "e.1" });
    await eventually(() => expect(heard).toEqual(["e.1"]));
  });

  it("reports what is no announcement, and goes on", async () => {
    const errors: unknown[] = [];
    const bus = postgresBus({
      url: server.url,
      onError: (error, { stage }) => errors.push([stage, String(error)]),
    });
    onTestFinished(() => bus.close());
    const heard: string[] = [];
    await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
    const [listened] = await onPostgres(
      server.url,
      "SELECT 'tidings_' || left(encode(sha256('finals'), 'hex'), 40) AS name",
    );
    const { name } = listened!.rows[0];
    await onPostgres(
      server.url,
      `NOTIFY ${name}, 'nonsense'`,
      `NOTIFY ${name}, E'semifinals\\nnonsense'`,
      `NOTIFY ${name}, E'finals\\nnonsense'`,
    );
    await bus.publish("finals", { cursor: "e.1" });
    await eventually(() => expect(heard).toEqual(["e.1"]));
    expect(errors).toEqual([
      ["message", expect.stringContaining(name)],
      ["message", expect.stringContaining(name)],
      ["message", expect.stringContaining('channel "finals"')],
    ]);
  });
});

it("refuses settings that cannot be right, without telling the password", () => {
  for (const url of ["redis://me:secret@host", "me:secret@host"]) {
    const wrong = expect(() => postgresBus({ url }));
    wrong.toThrow(expect.objectContaining({ code: "settings" }));
    wrong.not.toThrow(/secret/);
  }
});

function quiet() {
  return postgresBus({ url: server.url, onError: () => {} });
}

function newPool(): pg.Pool {
  const pool = new pg.Pool({ connectionString: server.url });
  pool.on("error", () => {});
  return pool;
}
