import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Bus } from "../../src/buses/bus.ts";
import { natsBus } from "../../src/buses/nats.ts";
import type { Announcement } from "../../src/protocol.ts";
import { busSuite } from "../../src/testing/bus-suite.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { outageTests } from "../support/outages.ts";
import { type Service, secondPort, startService } from "../support/services.ts";

let server: Service;
const prefixes = new WeakMap<Bus, string>();

function join(prefix: string): Bus {
  const bus = natsBus({ url: server.url, prefix, onError: () => {} });
  prefixes.set(bus, prefix);
  return bus;
}

describeWith("nats", () => {
  beforeAll(async () => {
    server = await startService("nats");
  });
  afterAll(() => server?.close());

  describe("over a connection of its own", () => {
    busSuite(
      { describe, it },
      { make: () => ({ value: join(crypto.randomUUID()) }), join: (bus) => join(prefixes.get(bus)!) },
    );

    outageTests(
      () => server,
      async (onError) => natsBus({ url: server.url, onError }),
      12_000,
    );
  });

  describe("over the caller's connection", () => {
    busSuite(
      { describe, it },
      {
        make: async () => {
          const connection = await connect({ servers: server.url });
          const value = natsBus({ connection, prefix: crypto.randomUUID(), onError: () => {} });
          return { value, dispose: () => connection.close() };
        },
      },
    );

    it("is back when the connection is, and leaves it open and clean", async () => {
      const connection = await connect({ servers: server.url, reconnectTimeWait: 50, reconnectJitter: 0 });
      onTestFinished(() => connection.close());
      const bus = natsBus({ connection, onError: () => {} });
      const [statuses, heard]: string[][] = [[], []];
      bus.onStatus!((status) => statuses!.push(status));
      await bus.subscribe("finals", ({ cursor }) => heard!.push(cursor));
      await server.kill();
      await eventually(() => expect(statuses).toEqual(["down"]));
      await server.start();
      await eventually(() => expect(statuses).toEqual(["down", "up"]));
      await bus.publish("finals", { cursor: "e.1" });
      await eventually(() => expect(heard).toEqual(["e.1"]));
      expect(await subscriptions()).toEqual([1]);
      await bus.close();
      await connection.flush();
      expect(await subscriptions()).toEqual([0]);
    });
  });

  it("sends what is over the server's limit as its cursor alone", async () => {
    const bus = join(crypto.randomUUID());
    onTestFinished(() => bus.close());
    const heard: Announcement[] = [];
    await bus.subscribe("finals", (announcement) => heard.push(announcement));
    const renders = new Map([["1", { show: true, content: "x".repeat(1_100_000), at: 1 }]]);
    await bus.publish("finals", { renders, removals: [], cursor: "e.1" });
    await eventually(() => expect(heard).toEqual([{ cursor: "e.1" }]));
  });

  it("takes one connection, and leaves nothing on the server", async () => {
    const bus = join(crypto.randomUUID());
    const names = Array.from({ length: 10_000 }, (_, n) => `channel ${n}`);
    const ends = await Promise.all(names.map((name) => bus.subscribe(name, () => {})));
    expect(await subscriptions()).toEqual([10_000]);
    await Promise.all(ends.map((end) => end()));
    await eventually(async () => expect(await subscriptions()).toEqual([0]));
    await bus.close();
    await eventually(async () => expect(await subscriptions()).toEqual([]));
  });

  it("reports what is no announcement, and goes on", async () => {
    const errors: unknown[] = [];
    const bus = natsBus({
      url: server.url,
      onError: (error, { stage }) => errors.push([stage, String(error)]),
    });
    onTestFinished(() => bus.close());
    const heard: string[] = [];
    await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
    const stranger = await connect({ servers: server.url });
    onTestFinished(() => stranger.close());
    stranger.publish(`tidings.${Buffer.from("finals").toString("base64url")}`, "nonsense");
    await stranger.flush();
    await bus.publish("finals", { cursor: "e.1" });
    await eventually(() => expect(heard).toEqual(["e.1"]));
    expect(errors).toEqual([["message", expect.stringContaining('channel "finals"')]]);
  });

  it("keeps no socket to a server that takes connections and stays silent", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await once(silent, "listening");
    const errors: unknown[] = [];
    const { port } = silent.address() as AddressInfo;
    const bus = natsBus({ url: `nats://127.0.0.1:${port}`, onError: (error) => errors.push(error) });
    await eventually(() => expect(errors.map(String)).toEqual([expect.stringContaining("no answer")]));
    await bus.close();
    const connections = () =>
      new Promise((resolve) => silent.getConnections((_error, count) => resolve(count)));
    await eventually(async () => expect(await connections()).toBe(0));
  });

  it("refuses settings that cannot be right, without telling the password", () => {
    for (const url of ["redis://me:secret@host", "nats://", "me:secret@host"]) {
      const wrong = expect(() => natsBus({ url }));
      wrong.toThrow(expect.objectContaining({ code: "settings" }));
      wrong.not.toThrow(/secret/);
    }
    expect(() => natsBus({})).toThrow(expect.objectContaining({ code: "settings" }));
  });
});

/** How many subscriptions each of the server's connections holds. */
async function subscriptions(): Promise<number[]> {
  const response = await fetch(`http://127.0.0.1:${secondPort(server.port)}/connz`);
  const { connections } = (await response.json()) as { connections: { subscriptions: number }[] };
  return connections.map(({ subscriptions }) => subscriptions);
}
