import { expect, it } from "vitest";
import { memoryBus } from "../../src/buses/memory.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import type { Announcement } from "../../src/protocol.ts";
import { BaseWebsocketPublisher, createPublisher } from "../../src/publishers/publisher.ts";

async function site() {
  const [log, bus] = [memoryLog(), memoryBus()];
  const heard: Announcement[] = [];
  await bus.subscribe("finals", (announcement) => heard.push(announcement));
  return { log, bus, heard, publisher: createPublisher({ log, bus }) };
}

it("puts an update into the log, then on the bus", async () => {
  const { log, heard, publisher } = await site();
  const { cursor } = await publisher.publish("finals", { 7: { show: true, content: "Goal!" } }, ["6"]);
  expect(heard).toEqual([
    { cursor, renders: new Map([["7", { show: true, content: "Goal!", at: 1 }]]), removals: ["6"] },
  ]);
  expect(await log.heads(["finals"])).toEqual([cursor]);
});

it("refuses what is malformed before the log sees it", async () => {
  const { log, heard, publisher } = await site();
  await expect(publisher.publish("a/b", {})).rejects.toMatchObject({ code: "invalid", field: "channelId" });
  await expect(publisher.publish("finals", { 7: { show: true } as never })).rejects.toMatchObject({
    field: "renders.7.content",
  });
  expect([heard, (await log.heads(["finals"]))[0]]).toEqual([[], expect.stringMatching(/\.0$/)]);
});

it("announces a repeated update by its cursor alone, in case the first announcement was lost", async () => {
  const { heard, publisher } = await site();
  const publish = () =>
    publisher.publish("finals", { 7: { show: true, content: "Goal!" } }, [], { idempotencyKey: "one" });
  expect(await publish()).toEqual(await publish());
  expect(heard).toHaveLength(2);
  expect(heard[1]).toEqual({ cursor: heard[0]!.cursor });
});

it("does not wait for the bus, nor fail with it", async () => {
  const log = memoryLog();
  const told: unknown[] = [];
  const onError = (error: unknown) => told.push(error);
  const hangs = { ...memoryBus(), publish: () => new Promise<void>(() => {}) };
  const throws = {
    ...memoryBus(),
    publish: () => {
      throw new Error("no bus (on purpose)");
    },
  };
  for (const bus of [hangs, throws]) {
    await createPublisher({ log, bus, onError }).publish("finals", {}, [`gone ${told.length}`]);
  }
  await expect.poll(() => told).toEqual([new Error("no bus (on purpose)")]);
  expect((await log.heads(["finals"]))[0]).toMatch(/\.1$/);
});

it("the guide's base class asks for one method", async () => {
  const sent: unknown[] = [];
  class MyWebsocketPublisher extends BaseWebsocketPublisher {
    publish(...args: unknown[]) {
      sent.push(args);
    }
  }
  const update = [{ 7: { show: true, content: "x", at: 1 } }, ["6"], { cursor: "e.1" }] as const;
  await new MyWebsocketPublisher().publish("finals", ...update);
  expect(sent).toEqual([["finals", ...update]]);
});

it("leaves it to a log that announces on the same bus, and to no other", async () => {
  const { log, bus, heard } = await site();
  const own = createPublisher({ log: { append: log.append, announcesOn: bus }, bus });
  await own.publish("finals", { 7: { show: true, content: "announced by the log" } });
  expect(heard).toEqual([]);
  const { cursor } = await own.publish("finals", { 7: { show: true, content: "announced by the log" } });
  expect(heard).toEqual([{ cursor }]);
  const other = createPublisher({ log: { append: log.append, announcesOn: memoryBus() }, bus });
  await other.publish("finals", { 8: { show: true, content: "announced here" } });
  expect(heard).toHaveLength(2);
});
