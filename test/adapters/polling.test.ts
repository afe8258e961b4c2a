import { connect } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { fetchPolling, nodePolling } from "../../src/adapters/polling.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { draftUpdate } from "../../src/protocol.ts";
import { answerOf } from "../../src/testing/http-client.ts";
import { pollingSuite } from "../../src/testing/polling-suite.ts";
import { eventually } from "../../src/testing/runner.ts";
import { onBun } from "../support/on-bun.ts";
import { onHono, onNode } from "../support/request-servers.ts";
import { pollingOnBun } from "./polling-on-bun.ts";

describe("on Node's server", () => {
  pollingSuite({ describe, it }, { start: (hub) => onNode(nodePolling(hub)) });
});

describe("Fetch on Node", () => {
  pollingSuite({ describe, it }, { start: (hub) => onHono(fetchPolling(hub)) });
});

pollingOnBun(onBun(new URL("polling-on-bun.ts", import.meta.url)));

describe("polling adapter", () => {
  it("waits for half a minute at most, with one timer for all", async () => {
    const log = memoryLog();
    const hub = createHub({ log, bus: memoryBus() });
    const { url, close } = await onNode(nodePolling(hub));
    const { cursor } = await log.append("finals", draftUpdate([{ id: "1", show: true, content: "" }]));
    await answerOf(`${url}/updates/channel/finals/`);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const timers = vi.getTimerCount();
    const path = `${url}/updates/channel/finals/?cursor=${cursor}&wait=`;
    const waiting = ["Infinity", "31", "1e9"].map((wait) => answerOf(path + wait));
    await eventually(() => expect(hub.stats().readers).toBe(3));
    expect(vi.getTimerCount() - timers).toBe(1);
    vi.advanceTimersByTime(29_000);
    expect(hub.stats().readers).toBe(3);
    vi.advanceTimersByTime(2_000);
    for (const { body } of await Promise.all(waiting)) expect(JSON.parse(body).cursor).toBe(cursor);
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount() - timers).toBe(0);
    vi.useRealTimers();
    await hub.close();
    await close();
  });

  it("ends a connection that asks on and on, and reads no answer", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const { url, close } = await onNode(nodePolling(hub));
    const { hostname, port, host } = new URL(url);
    const ask = `GET /updates/channel/finals/?cursor=a.0 HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const socket = connect(Number(port), hostname).pause();
    socket.on("error", () => {});
    socket.write(ask.repeat(2_000));
    await eventually(() => expect(hub.stats().polls).toBeGreaterThan(0));
    await new Promise((resolve) => socket.once("close", resolve).resume());
    expect(hub.stats().polls).toBeLessThanOrEqual(20);
    // Who reads them may ask as often, one after the other or a few at a time.
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => answerOf(`${url}/updates/channel/finals/`)),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    await hub.close();
    await close();
  });

  it("leaves requests for other paths to the next", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const polling = nodePolling(hub, { base: "/live" });
    const { url, close } = await onNode((request, response) =>
      polling(request, response, () => response.end("the site")),
    );
    for (const path of ["/", "/updates/channel/finals/", "/live/updates/channel/finals"]) {
      expect((await answerOf(url + path)).body).toBe("the site");
    }
    expect(JSON.parse((await answerOf(`${url}/live/updates/channel/finals/`)).body)).toHaveProperty("cursor");
    await hub.close();
    await close();
  });
});
