/** What the suites of adapters for plain HTTP share. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { memoryLog } from "../logs/memory.ts";
import type { Frame } from "../protocol.ts";
import { answerOf, ask } from "./http-client.ts";
import { eventually } from "./runner.ts";
import { type Door, post, type Site, type SiteTest } from "./site.ts";

export const knock: Door["knock"] = async ({ url, defer }, path, headers = {}) => {
  const { status, socket } = await ask(url + path, { headers });
  defer(() => socket.destroy());
  return { status, leave: () => socket.destroy() };
};

/** What every way in over plain HTTP must do. `allow` is what it says to other methods. */
export function requestTests(test: SiteTest, way: "sse" | "updates", allow: string): void {
  const finals = `/${way}/channel/finals/`;
  /** A request that holds a reader's place. */
  const lasting = async ({ publisher }: Site, page = "finals") => {
    const { cursor } = await publisher.publish(page, { 1: post("one") });
    return `/${way}/channel/${page}/?cursor=${cursor}&wait=30`;
  };

  test("refuses other methods", async ({ url, hub }) => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const { status, headers } = await answerOf(url + finals, {
        method,
        headers: { "content-length": "0", origin: url },
      });
      assert.deepEqual([status, headers.allow], [405, allow], method);
      assert.equal(headers["access-control-allow-origin"], url);
      assert.equal(headers.vary, "Origin");
    }
    assert.equal(hub.stats().admitted, 0);
  });

  test("a refusal is kept by no cache, and may be read by who may read", async ({ url }) => {
    const origin = url;
    const path = `${url}${finals}?cursor=${"x".repeat(129)}`;
    const { headers } = await answerOf(path, { headers: { origin } });
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["access-control-allow-origin"], origin);
    assert.equal(headers.vary, "Origin");
    const stranger = await answerOf(url + finals, { headers: { origin: "https://evil.example" } });
    assert.equal(stranger.headers["access-control-allow-origin"], undefined);
    assert.equal(stranger.headers.vary, "Origin");
  });

  test("scripts of its own host may read, and a cache keeps origins apart", async ({ url, defer }) => {
    const own = await ask(url + finals, { headers: { origin: url } });
    const none = await ask(url + finals);
    for (const { socket } of [own, none]) defer(() => socket.destroy());
    assert.equal(own.headers["access-control-allow-origin"], url);
    assert.equal(none.headers["access-control-allow-origin"], undefined);
    for (const { headers } of [own, none]) {
      assert.equal(headers.vary, "Origin");
      assert.equal(headers["x-content-type-options"], "nosniff");
    }
  });

  test(
    "scripts of the origins it was given may read",
    async ({ url, defer }) => {
      const origin = "https://news.example";
      const { headers, socket } = await ask(url + finals, { headers: { origin } });
      defer(() => socket.destroy());
      assert.equal(headers["access-control-allow-origin"], origin);
      assert.equal(headers.vary, "Origin");
    },
    { origins: ["https://news.example"] },
  );

  test(
    "where anybody may read, all origins share one answer",
    async ({ url, defer }) => {
      const { headers, socket } = await ask(url + finals, { headers: { origin: "https://any.example" } });
      defer(() => socket.destroy());
      assert.equal(headers["access-control-allow-origin"], "*");
      assert.equal(headers.vary, undefined);
    },
    { origins: ["*"] },
  );

  test(
    "limits connections per address, and gives places back",
    async (site) => {
      const path = site.url + (await lasting(site));
      const opened = [connectTo(path), connectTo(path)];
      for (const socket of opened) site.defer(() => socket.destroy());
      await eventually(() => assert.equal(site.hub.stats().readers, 2));
      const { status, headers } = await answerOf(path);
      assert.deepEqual([status, headers["retry-after"]], [429, "60"]);
      opened[0]!.destroy();
      await eventually(() => assert.equal(site.hub.stats().readers, 1));
      const third = connectTo(path);
      site.defer(() => third.destroy());
      await eventually(() => assert.equal(site.hub.stats().readers, 2));
    },
    { maxConnectionsPerAddress: 2 },
  );

  const failing = memoryLog();
  const heads = failing.heads;
  test(
    "a history that cannot be read answers 503, until it can",
    async (site) => {
      const path = site.url + (await lasting(site));
      failing.heads = () => Promise.reject(new Error("the disk is gone"));
      const { status, headers } = await answerOf(path);
      assert.deepEqual([status, headers["retry-after"]], [503, "5"]);
      failing.heads = heads;
      await eventually(() => {
        const socket = connectTo(path);
        site.defer(() => socket.destroy());
        assert.ok(site.hub.stats().readers > 0);
      });
    },
    { log: failing, onError() {} },
  );

  test("readers that leave in the middle leave nothing behind", async (site) => {
    const path = site.url + (await lasting(site));
    const sockets = Array.from({ length: 50 }, () => connectTo(path));
    await eventually(() => assert.equal(site.hub.stats().readers, 50));
    for (const socket of sockets) socket.destroy();
    // Before they have an answer, and on a page that nobody reads yet.
    const another = site.url + (await lasting(site, "another"));
    for (let n = 0; n < 20; n++) {
      const socket = connectTo(another);
      socket.on("connect", () => setImmediate(() => socket.destroy()));
    }
    await eventually(() => assert.ok(site.hub.stats().admitted >= 50));
    await eventually(() => assert.deepEqual([site.hub.stats().readers, site.hub.stats().lagging], [0, 0]));
  });

  test("requests that follow on the same connection leave nothing behind when it ends", async (site) => {
    const path = site.url + (await lasting(site));
    const socket = connectTo(path, 3);
    site.defer(() => socket.destroy());
    // Or the runtime ends such connections itself.
    await eventually(() => assert.ok(site.hub.stats().readers === 3 || socket.destroyed));
    socket.destroy();
    await eventually(() => assert.equal(site.hub.stats().readers, 0));
  });

  test("hub.close() refuses newcomers, who are told when to return", async ({ url, hub }) => {
    await hub.close();
    const { status, headers } = await answerOf(url + finals);
    assert.deepEqual([status, headers["retry-after"]], [503, "5"]);
  });
}

/** Sends requests without waiting for answers. */
function connectTo(url: string, times = 1) {
  const { hostname, port, host, pathname, search } = new URL(url);
  const request = `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const socket = connect(Number(port), hostname, () => socket.write(request.repeat(times)));
  socket.on("error", () => {});
  socket.resume();
  return socket;
}

export function frameOf(text: string): Frame {
  return JSON.parse(text) as Frame;
}
