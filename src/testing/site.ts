/** What the suites of adapters share: a hub on a real server, and what every way in must do at the door. */
import assert from "node:assert/strict";
import { memoryBus } from "../buses/memory.ts";
import { createHub, type Hub, type HubOptions } from "../hub/hub.ts";
import type { Log } from "../logs/log.ts";
import { memoryLog } from "../logs/memory.ts";
import { createPublisher, type Publisher } from "../publishers/publisher.ts";
import type { Runner } from "./runner.ts";

/** The runners that {@link Runner} names have `skip`, too. */
export interface RunnerThatSkips extends Runner {
  readonly it: Runner["it"] & { skip(name: string, body: () => Promise<void>): unknown };
}

export interface Started {
  /** Without a slash at the end. */
  readonly url: string;
  /** Ends the server and what is still connected. */
  close(): Promise<void>;
}

export interface Site {
  readonly hub: Hub;
  readonly url: string;
  readonly log: Log;
  readonly publisher: Publisher;
  /** Called at the end of the test, last first, before the hub and the server end. */
  defer(end: () => void): void;
}

export type SiteTest = (
  name: string,
  body: (site: Site) => Promise<void>,
  options?: Partial<HubOptions>,
) => void;

/** Registers tests, each on a hub and a server of its own; `skip` names those to leave out, with the reason. */
export function siteTests(
  { it }: RunnerThatSkips,
  start: (hub: Hub) => Promise<Started>,
  skip: Readonly<Record<string, string>> = {},
): { test: SiteTest; end(): void } {
  const left = new Map(Object.entries(skip));
  const test: SiteTest = (name, body, options = {}) => {
    const reason = left.get(name);
    left.delete(name);
    const run = async () => {
      const [log, bus] = [options.log ?? memoryLog(), memoryBus()];
      const hub = createHub({ log, bus, ...options });
      const { url, close } = await start(hub);
      const ends: (() => void)[] = [];
      try {
        await body({
          hub,
          url,
          log,
          publisher: createPublisher({ log, bus }),
          defer: (end) => void ends.push(end),
        });
      } finally {
        for (const end of ends.reverse()) end();
        await hub.close({ drainMs: 1_000 });
        await close();
      }
    };
    if (reason === undefined) it(name, run);
    else it.skip(`${name} (left out: ${reason})`, run);
  };
  return {
    test,
    end() {
      if (left.size > 0) throw new Error(`no test of the suite is named ${[...left.keys()].join(" | ")}`);
    },
  };
}

/** A way in, as its door is tried. */
export interface Door {
  /** The first part of its path. */
  readonly path: "ws" | "sse" | "updates";
  /** How the server answers who wants to read; a reader that is let in stays until the test ends. */
  knock(
    site: Site,
    path: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; leave(): void }>;
  /** Publishes while a reader is there: the content of post `1` as the reader got it. */
  told(site: Site, path: string, publish: () => Promise<unknown>): Promise<string | undefined>;
}

/** Who may enter, by PROTOCOL.md. */
export function doorTests(test: SiteTest, { path: way, knock, told }: Door): void {
  const finals = `/${way}/channel/finals/`;

  test("channel ids are percent-decoded", async (site) => {
    for (const id of ["-100123", "é t é", "100%", "日本?#&", "__proto__", "x".repeat(255)]) {
      const publish = () => site.publisher.publish(id, { 1: post(id) });
      assert.equal(await told(site, `/${way}/channel/${encodeURIComponent(id)}/`, publish), id);
    }
  });

  test("refuses at the door what may not enter", async (site) => {
    const status = async (path: string, headers = {}) => (await knock(site, path, headers)).status;
    assert.equal(await status(`/${way}/channel/a%2Fb/`), 400);
    assert.equal(await status(`/${way}/channel/%FF/`), 400);
    assert.equal(await status(`/${way}/channel/${"x".repeat(256)}/`), 400);
    assert.equal(await status(`/${way}/channel/a%00b/`), 400);
    assert.equal(await status(`${finals}?cursor=${"x".repeat(129)}`), 400);
    assert.equal(await status(`${finals}?cursor=${"x".repeat(8_000)}`), 400);
    assert.equal(await status(`/${way}/channel/finals`), 404);
    assert.equal(await status(`/${way}/channel/`), 404);
    assert.equal(await status(`/${way}/channel/a/b/`), 404);
    assert.equal(await status("/elsewhere"), 404);
    assert.equal(await status(finals, { origin: "https://evil.example" }), 403);
    assert.equal(await status(finals, { origin: "null" }), 403);
    assert.deepEqual([site.hub.stats().readers, site.hub.stats().admitted], [0, 0]);
  });

  test("lets in pages of its own host", async (site) => {
    const origin = site.url.replace("ws:", "http:");
    const { status } = await knock(site, finals, { origin });
    assert.ok(status < 300, `${status}`);
  });

  test(
    "lets in the origins it was given, and no others",
    async (site) => {
      const status = async (origin: string) => (await knock(site, finals, { origin })).status;
      assert.ok((await status("https://news.example")) < 300);
      assert.equal(await status("https://news.example.evil"), 403);
    },
    { origins: ["https://news.example"] },
  );
}

export const post = (content: string): { show: boolean; content: string } => ({ show: true, content });
