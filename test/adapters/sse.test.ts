import { describe, expect, it, vi } from "vitest";
import { fetchSse, nodeSse } from "../../src/adapters/sse.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub, type Hub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { answerOf, ask } from "../../src/testing/http-client.ts";
import { eventually } from "../../src/testing/runner.ts";
import type { Started } from "../../src/testing/site.ts";
import { sseSuite } from "../../src/testing/sse-suite.ts";
import { onBun } from "../support/on-bun.ts";
import { onHono, onNode } from "../support/request-servers.ts";
import { slowNetwork } from "../support/slow-network.ts";
import { sseOnBun } from "./sse-on-bun.ts";

describe("on Node's server", () => {
  sseSuite({ describe, it }, { start: (hub) => onNode(nodeSse(hub)) });
});

describe("Fetch on Node", () => {
  sseSuite({ describe, it }, { start: (hub) => onHono(fetchSse(hub)) });
});

sseOnBun(onBun(new URL("sse-on-bun.ts", import.meta.url)));

describe.for<[name: string, start: (hub: Hub) => Promise<Started>]>([
  ["on Node's server", (hub) => onNode(nodeSse(hub))],
  ["Fetch on Node", (hub) => onHono(fetchSse(hub))],
])("a stream whose reader stops reading, %s", ([, start]) => {
  /** A reader, on a network that brings it what the test lets it, and half minutes that pass at will. */
  async function open() {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = createHub({ log, bus });
    const publisher = createPublisher({ log, bus });
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { url, close } = await start(hub);
    const network = await slowNetwork(url);
    const asked = ask(`http://${network.host}/sse/channel/finals/`);
    await network.bring(1);
    const { socket } = await asked;
    await eventually(() => expect(hub.stats().readers).toBe(1));
    return {
      hub,
      network,
      /** Far more than the system takes. */
      async fill() {
        const content = "x".repeat(990_000);
        for (let n = 0; n < 20; n++) await publisher.publish("finals", { [n]: { show: true, content } });
        await eventually(() => expect(hub.stats().lagging).toBe(1));
      },
      async halfMinute() {
        vi.advanceTimersByTime(30_000);
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
      async end() {
        vi.useRealTimers();
        socket.destroy();
        await hub.close({ drainMs: 100 });
        await network.close();
        await close();
      },
    };
  }

  it("is cut off, not before 60 s, and within 15 minutes", async () => {
    const { hub, fill, halfMinute, end } = await open();
    await fill();
    for (let n = 0; n < 2; n++) await halfMinute();
    expect(hub.stats().readers).toBe(1);
    for (let n = 0; n < 30; n++) await halfMinute();
    await eventually(() => expect(hub.stats().readers).toBe(0));
    await end();
  });

  it("stays when it only reads slowly, or when there is nothing to read", async () => {
    const { hub, network, fill, halfMinute, end } = await open();
    for (let n = 0; n < 5; n++) await halfMinute();
    await fill();
    // Less at a time than a frame has, and than the system takes notice of.
    for (let n = 0; n < 36; n++) {
      await network.bring(300_000);
      await halfMinute();
      expect(hub.stats().readers).toBe(1);
    }
    await end();
  });
});

describe("Fetch", () => {
  it("forgets streams that whoever asked for them dropped, not before 60 s", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const sse = fetchSse(hub);
    // Each is looked at at another time of the half minute.
    for (let n = 0; n < 30; n++) {
      const response = await sse(new Request("http://localhost/sse/channel/finals/"));
      expect(response!.status).toBe(200);
    }
    await eventually(() => expect(hub.stats().lagging).toBe(0));
    vi.advanceTimersByTime(59_000);
    expect(hub.stats().readers).toBe(30);
    vi.advanceTimersByTime(31_000);
    expect(hub.stats().readers).toBe(0);
    vi.useRealTimers();
    await hub.close();
  });

  it("has hub.close() wait until the last words have been taken", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = createHub({ log, bus });
    const response = await fetchSse(hub)(new Request("http://localhost/sse/channel/finals/"));
    await eventually(() => expect(hub.stats().lagging).toBe(0));
    const content = "x".repeat(200_000);
    await createPublisher({ log, bus }).publish("finals", { 1: { show: true, content } });
    const closing = hub.close();
    expect(hub.stats().readers).toBe(1);
    expect(await response!.text()).toMatch(/"retry":\[\d+,\d+\]\}\n\n$/);
    expect(hub.stats().readers).toBe(0);
    await closing;
  });

  it("lets nobody in who has left while the history was read", async () => {
    const log = memoryLog();
    const read = Promise.withResolvers<void>();
    const slow = { ...log, heads: (ids: readonly string[]) => read.promise.then(() => log.heads(ids)) };
    const hub = createHub({ log: slow, bus: memoryBus() });
    const leaving = new AbortController();
    const { signal } = leaving;
    const asked = fetchSse(hub)(new Request("http://localhost/sse/channel/finals/", { signal }));
    leaving.abort();
    read.resolve();
    await asked;
    expect(hub.stats().readers).toBe(0);
    await hub.close();
  });
});

describe("as middleware", () => {
  it("leaves requests for other paths to the next", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const sse = nodeSse(hub, { base: "/live" });
    const { url, close } = await onNode((request, response) =>
      sse(request, response, () => response.end("the site")),
    );
    for (const path of [
      "/",
      "/sse/channel/finals/",
      "/live/sse/channel/finals",
      "/live/ws/channel/finals/",
    ]) {
      expect((await answerOf(url + path)).body).toBe("the site");
    }
    const { status, socket } = await ask(`${url}/live/sse/channel/finals/`);
    expect(status).toBe(200);
    socket.destroy();
    await hub.close();
    await close();
  });
});
