import { createHash } from "node:crypto";
import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Bus } from "../../src/buses/bus.ts";
import { rabbitmqBus } from "../../src/buses/rabbitmq.ts";
import { busSuite } from "../../src/testing/bus-suite.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { outageTests } from "../support/outages.ts";
import { type Service, startService } from "../support/services.ts";

let server: Service;
const exchanges = new WeakMap<Bus, string>();

function join(exchange: string): Bus {
  const bus = rabbitmqBus({ url: server.url, exchange, onError: () => {} });
  exchanges.set(bus, exchange);
  return bus;
}

describeWith("rabbitmq", () => {
  beforeAll(async () => {
    server = await startService("rabbitmq");
  });
  afterAll(() => server?.close());

  describe("over a connection of its own", () => {
    busSuite(
      { describe, it },
      { make: () => ({ value: join(crypto.randomUUID()) }), join: (bus) => join(exchanges.get(bus)!) },
    );

    outageTests(
      () => server,
      async (onError) => rabbitmqBus({ url: `${server.url}?heartbeat=2`, onError }),
      10_000,
    );
  });

  it("over the caller's connection, is back when that is, and leaves it open", async () => {
    const connection = await connect(server.url, { recovery: { initialDelay: 50, maxDelay: 200 } });
    connection.on("error", () => {});
    onTestFinished(() => connection.close());
    const bus = rabbitmqBus({ connection, onError: () => {} });
    onTestFinished(() => bus.close());
    const [statuses, heard]: [string[], string[]] = [[], []];
    bus.onStatus!((status) => statuses.push(status));
    await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
    await server.kill();
    await eventually(() => expect(statuses).toEqual(["down"]));
    await server.start();
    await eventually(() => expect(statuses).toEqual(["down", "up"]), 20_000);
    await bus.publish("finals", { cursor: "e.1" });
    await eventually(() => expect(heard).toEqual(["e.1"]));
    await bus.close();
    const channel = await connection.createChannel();
    await channel.checkExchange("tidings");
  });

  it("leaves no binding behind on the server", async () => {
    const exchange = crypto.randomUUID();
    const bus = join(exchange);
    onTestFinished(() => bus.close());
    const names = Array.from({ length: 1_000 }, (_, n) => `channel ${n}`);
    const ends = await Promise.all(names.map((name) => bus.subscribe(name, () => {})));
    expect(await withoutListener(exchange, names)).toBe(0);
    await Promise.all(ends.map((end) => end()));
    expect(await withoutListener(exchange, names)).toBe(1_000);
  });

  it("reports what is no announcement, and what the server refuses, and goes on", async () => {
    const errors: unknown[] = [];
    const exchange = crypto.randomUUID();
    const bus = rabbitmqBus({
      url: server.url,
      exchange,
      onError: (error, { stage }) => errors.push([stage, String(error)]),
    });
    onTestFinished(() => bus.close());
    const heard: string[] = [];
    await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
    const channel = await strangersChannel();
    channel.publish(exchange, routingKey("finals"), Buffer.from("nonsense"), {
      headers: { channel: "finals" },
    });
    await eventually(() =>
      expect(errors).toEqual([["message", expect.stringContaining('channel "finals"')]]),
    );
    await channel.deleteExchange(exchange);
    await bus.publish("finals", { cursor: "e.1" });
    await eventually(() => expect(errors[1]).toEqual(["connect", expect.stringContaining("NOT_FOUND")]));
    await eventually(async () => {
      await bus.publish("finals", { cursor: "e.2" });
      expect(heard).toContain("e.2");
    });
  });

  it("refuses settings that cannot be right, without telling the password", () => {
    for (const url of ["redis://me:secret@host", "amqp://", "me:secret@host"]) {
      const wrong = expect(() => rabbitmqBus({ url }));
      wrong.toThrow(expect.objectContaining({ code: "settings" }));
      wrong.not.toThrow(/secret/);
    }
    expect(() => rabbitmqBus({})).toThrow(expect.objectContaining({ code: "settings" }));
  });
});

function routingKey(channel: string): string {
  return createHash("sha256").update(channel).digest("base64url");
}

async function strangersChannel() {
  const connection = await connect(server.url);
  onTestFinished(() => connection.close());
  return connection.createConfirmChannel();
}

/** For how many of the channels the server has nobody to bring a message to: it returns those that are mandatory. */
async function withoutListener(exchange: string, channels: readonly string[]): Promise<number> {
  const channel = await strangersChannel();
  let returned = 0;
  channel.on("return", () => returned++);
  for (const name of channels) {
    channel.publish(exchange, routingKey(name), Buffer.from("{}"), { mandatory: true });
  }
  await channel.waitForConfirms();
  return returned;
}
