import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { openBrowserReader } from "../../../faults/processes/browser.ts";
import type { World } from "../../../faults/processes/faults.ts";
import { endAll, openReaders, runFaults } from "../../../faults/processes/run-schedule.ts";
import { startSite } from "../../../faults/processes/site.ts";
import { eventually } from "../../../src/testing/runner.ts";
import { describeWith } from "../../support/describe-with.ts";

// What a schedule leaves behind when it breaks off would run on beside the others.

const fault = (name: string, after: number) => ({ name, after, lasts: 0, server: 0 });

it("a fault that fails breaks off its schedule, and nothing else", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  const broken = new Error("the store does not start any more");
  const told: string[] = [];
  const world = {
    readers: [],
    site: { servers: [{}], store: { kill: async () => {} }, startAgain: () => Promise.reject(broken) },
  } as unknown as World;
  // The next begins when the first has failed long since: nobody waits for that meanwhile.
  const planned = [fault("store killed", 0), fault("readers move", 100)];
  await expect(runFaults(world, planned, (line) => told.push(line))).rejects.toBe(broken);
  await wait(0);
  expect(unhandled).toEqual([]);
  expect(told).toEqual([expect.stringMatching(/readers move/)]);
});

it("a reader that is opening yet when a schedule breaks off is ended too", async () => {
  let answer = () => {};
  const late = new Promise<void>((resolve) => (answer = resolve));
  let asked = 0;
  const server = createServer(async (_, response) => {
    if (++asked === 2) await late;
    response.end('<div id="live-posts" data-channel-id="the-finals" data-cursor="e.5"></div>');
  });
  const sockets = new WebSocketServer({ server });
  let joined = 0;
  sockets.on("connection", () => joined++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  const opened: { end(): unknown }[] = [];
  const opening = openReaders([`127.0.0.1:${(server.address() as AddressInfo).port}`], 2, opened);
  await eventually(() => expect([asked, joined]).toEqual([2, 1]));
  const ended = endAll(opened);
  answer();
  await Promise.all([ended, opening]);
  await eventually(() => expect(sockets.clients.size).toBe(0));
  const before = joined;
  await wait(500);
  expect(joined).toBe(before);
});

it("a page in a browser that does not open leaves nothing open", async () => {
  const broken = new Error("nobody is there");
  let closed = 0;
  const tab = { addInitScript: async () => {}, goto: () => Promise.reject(broken) };
  const context = { newPage: async () => tab, close: async () => void closed++ };
  const browser = { newContext: async () => context } as unknown as Browser;
  await expect(openBrowserReader(browser, "Chromium 0", "http://127.0.0.1:1/")).rejects.toBe(broken);
  expect(closed).toBe(1);
});

it("one that cannot be ended keeps the others from nothing", async () => {
  const broken = new Error("the browser is gone");
  const ended: string[] = [];
  const opened = [
    { end: () => ended.push("site") },
    { end: () => Promise.reject(broken) },
    { end: () => ended.push("reader") },
  ];
  await expect(endAll(opened)).rejects.toBe(broken);
  expect(ended).toEqual(["reader", "site"]);
});

describeWith("postgres", () => {
  describeWith("redis", () => {
    it("a fault that was on its way when the site ended starts nothing any more", async () => {
      const site = await startSite("redis");
      const [first, second] = site.servers;
      await first!.kill();
      // This one waits for its store, as after a fault of both.
      second!.toStore.cut();
      await second!.kill();
      const starting = second!.start();
      starting.catch(() => {});
      await site.end();
      for (const service of [site.store, site.busService])
        await expect(site.startAgain(service)).rejects.toThrow("the site has ended");
      await expect(first!.start()).rejects.toThrow("a: its site has ended");
      await expect(starting).rejects.toThrow("b: its site has ended");
    }, 60_000);
  });
});
