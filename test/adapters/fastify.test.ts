import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type FastifyInstance, type FastifyServerOptions, fastify } from "fastify";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { fastifyWebSocket } from "../../src/adapters/fastify.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub, type Hub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import { statusOf } from "../support/upgrade.ts";

async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ port: 0, host: "127.0.0.1" });
  return `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

adapterSuite(
  { describe, it },
  {
    async start(hub) {
      const app = fastify();
      app.register(fastifyWebSocket, { hub });
      return { url: await listen(app), close: () => app.close() };
    },
  },
);

describe("fastify adapter", () => {
  let app: FastifyInstance;
  afterEach(() => app.close());

  async function start(
    set: (app: FastifyInstance, hub: Hub) => void,
    options: FastifyServerOptions = {},
  ): Promise<{ url: string; hub: Hub }> {
    const hub = createHub({ log: memoryLog(), bus: memoryBus(), maxConnectionsPerAddress: 1 });
    app = fastify(options);
    set(app, hub);
    return { url: await listen(app), hub };
  }

  it("lets the app's hooks keep readers out, and serves below a prefix", async () => {
    const { url } = await start((app, hub) => {
      app.addHook("onRequest", async (request, reply) => {
        if (request.headers.authorization !== "Bearer reader") return reply.code(401).send("no");
      });
      app.register(fastifyWebSocket, { hub, prefix: "/live" });
    });
    const headers = { authorization: "Bearer reader" };
    expect(await statusOf(`${url}/live/ws/channel/finals/`)).toBe(401);
    expect(await statusOf(`${url}/live/ws/channel/finals/`, { headers })).toBe(101);
    expect(await statusOf(`${url}/ws/channel/finals/`, { headers })).toBe(404);
  });

  it("takes addresses from a trusted proxy", async () => {
    const { url } = await start((app, hub) => app.register(fastifyWebSocket, { hub }), { trustProxy: true });
    const from = (address: string) =>
      new WebSocket(`${url}/ws/channel/finals/`, { headers: { "x-forwarded-for": address } });
    const [one, other] = [from("192.0.2.1"), from("192.0.2.2")];
    await Promise.all([once(one, "open"), once(other, "open")]);
    expect(await statusOf(`${url}/ws/channel/finals/`, { headers: { "x-forwarded-for": "192.0.2.1" } })).toBe(
      429,
    );
  });

  it("leaves the app's routes as they were, two plugins beside each other", async () => {
    const { url, hub } = await start((app, hub) => {
      app.register(fastifyWebSocket, { hub, prefix: "/one" });
      app.register(fastifyWebSocket, { hub, prefix: "/two" });
      app.get("/page", async () => "a page");
    });
    const plain = url.replace("ws:", "http:");
    expect(await (await fetch(`${plain}/page`)).text()).toBe("a page");
    expect((await fetch(`${plain}/one/ws/channel/finals/`)).status).toBe(404);
    expect(await statusOf(`${url}/page`)).toBe(200);
    expect(await statusOf(`${url}/elsewhere`)).toBe(404);
    expect(await statusOf(`${url}/two/ws/channel/finals/`)).toBe(101);
    expect(hub.stats().admitted).toBe(1);
  });

  it("closing the app tells readers when to come back", async () => {
    const { url } = await start((app, hub) => app.register(fastifyWebSocket, { hub }));
    const reader = new WebSocket(`${url}/ws/channel/finals/`);
    await once(reader, "open");
    const frames: string[] = [];
    reader.on("message", (data) => frames.push(String(data)));
    const closed = once(reader, "close");
    await app.close();
    expect((await closed)[0]).toBe(1012);
    expect(frames.map((frame) => JSON.parse(frame))).toEqual([
      { renders: {}, removals: [], retry: [expect.any(Number), expect.any(Number)] },
    ]);
  });
});
