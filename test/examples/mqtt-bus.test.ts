import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { Aedes } from "aedes";
import { busSuite, eventually } from "tidings/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { mqttBus } from "../../examples/mqtt-bus.ts";

// The page docs/write-your-own-bus.md: its bus, over a real broker, through the suite that everybody gets.

let broker: Aedes;
let url: string;

async function listen(port = 0) {
  const opened = await Aedes.createBroker();
  const server = createServer(opened.handle).listen(port, "127.0.0.1");
  await once(server, "listening");
  opened.once("closed", () => server.close());
  return { opened, port: (server.address() as AddressInfo).port };
}

beforeAll(async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const { opened, port } = await listen();
  broker = opened;
  url = `mqtt://127.0.0.1:${port}`;
});
afterAll(() => new Promise<void>((resolve) => broker.close(resolve)));

const prefixes = new WeakMap<object, string>();

async function join(prefix: string) {
  const bus = mqttBus(url, prefix);
  prefixes.set(bus, prefix);
  await new Promise<void>((resolve) => {
    bus.onStatus!((status) => status === "up" && resolve());
  });
  return bus;
}

busSuite(
  { describe, it },
  {
    make: async () => ({ value: await join(crypto.randomUUID()) }),
    join: (bus) => join(prefixes.get(bus)!),
  },
);

it("says when the broker is away and back, and subscribes again", async () => {
  const { opened, port } = await listen();
  const bus = mqttBus(`mqtt://127.0.0.1:${port}`);
  const [statuses, heard]: [string[], string[]] = [[], []];
  bus.onStatus!((status) => statuses.push(status));
  await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
  await new Promise<void>((resolve) => opened.close(resolve));
  await eventually(() => expect(statuses).toEqual(["down", "up", "down"]));
  await bus.publish("finals", { cursor: "e.1" });
  const again = await listen(port);
  await eventually(() => expect(statuses).toEqual(["down", "up", "down", "up"]));
  await eventually(async () => {
    await bus.publish("finals", { cursor: "e.2" });
    expect(heard).toContain("e.2");
  });
  expect(heard).not.toContain("e.1");
  await bus.close();
  await new Promise<void>((resolve) => again.opened.close(resolve));
});

it("a listener whose subscription the broker refuses hears nothing later", async () => {
  const prefix = crypto.randomUUID();
  const [bus, other] = [await join(prefix), await join(prefix)];
  const [refused, heard]: [string[], string[]] = [[], []];
  const { authorizeSubscribe } = broker;
  broker.authorizeSubscribe = (_client, _subscription, done) => done(null, null);
  await expect(bus.subscribe("finals", ({ cursor }) => refused.push(cursor))).rejects.toThrow();
  broker.authorizeSubscribe = authorizeSubscribe;
  await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
  await other.publish("finals", { cursor: "e.1" });
  await eventually(() => expect(heard).toEqual(["e.1"]));
  expect(refused).toEqual([]);
  await bus.close();
  await other.close();
});
