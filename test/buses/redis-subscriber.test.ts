import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { redisSubscriber } from "../../src/buses/redis-subscriber.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { type Service, startService } from "../support/services.ts";

describeWith("redis", () => {
  let server: Service;
  const ends: (() => unknown)[] = [];
  beforeAll(async () => {
    server = await startService("redis");
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  afterAll(() => server.close());

  function opened(heard: string[] = []) {
    const subscriber = redisSubscriber({
      url: server.url,
      where: "test",
      onMessage: (channel, text) => heard.push(`${channel}: ${text}`),
      onError: () => {},
    });
    ends.push(() => subscriber.close());
    return subscriber;
  }

  async function admin() {
    const client = createClient({ url: server.url });
    client.on("error", () => {});
    await client.connect();
    ends.push(() => client.destroy());
    return client;
  }

  it("ends as wanted last, however fast one changes one's mind", async () => {
    const heard: string[] = [];
    const subscriber = opened(heard);
    const client = await admin();
    for (let n = 0; n < 50; n++) {
      const all = [subscriber.subscribe("a"), subscriber.unsubscribe("a"), subscriber.subscribe("b")];
      all.push(subscriber.subscribe("a"), subscriber.unsubscribe("b"));
      await Promise.all([all[0], all[3], all[4]]);
      expect(await client.pubSubChannels("*")).toEqual(["a"]);
    }
    await client.publish("a", "once");
    await eventually(() => expect(heard).toEqual(["a: once"]));
    await subscriber.unsubscribe("a");
    expect(await client.pubSubChannels("*")).toEqual([]);
  });

  it("keeps nothing of what was given up while Redis was away", async () => {
    const subscriber = opened();
    const statuses: string[] = [];
    subscriber.onStatus((status) => statuses.push(status));
    await subscriber.subscribe("kept");
    await server.kill();
    await eventually(() => expect(statuses).toEqual(["down"]));
    const late: string[] = [];
    subscriber.onStatus((status) => late.push(status));
    expect(late).toEqual(["down"]);
    void subscriber.subscribe("given up");
    await subscriber.unsubscribe("given up");
    const joined = subscriber.subscribe("joined");
    await server.start();
    await joined;
    await eventually(() => expect(statuses).toEqual(["down", "up"]));
    expect((await (await admin()).pubSubChannels("*")).sort()).toEqual(["joined", "kept"]);
  });

  it("cut off by the server, it comes back", async () => {
    const heard: string[] = [];
    const subscriber = opened(heard);
    const statuses: string[] = [];
    subscriber.onStatus((status) => statuses.push(status));
    await subscriber.subscribe("a");
    const client = await admin();
    await client.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
    await eventually(() => expect(statuses).toEqual(["down", "up"]));
    await client.publish("a", "back");
    await eventually(() => expect(heard).toEqual(["a: back"]));
  });
});
