import assert from "node:assert/strict";
import type { Hub } from "../hub/hub.ts";
import type { Frame } from "../protocol.ts";
import { type Answered, type Asking, answerOf, ask } from "./http-client.ts";
import { frameOf, knock, requestTests } from "./requests.ts";
import { eventually } from "./runner.ts";
import { doorTests, post, type RunnerThatSkips, type Site, type Started, siteTests } from "./site.ts";

export interface SseSuiteOptions {
  /**
   * Starts a server that serves the hub as Server-Sent Events at `/sse/channel/<id>/`, on loopback, and answers other
   * paths with 404. `url` is `http://host:port`.
   */
  readonly start: (hub: Hub) => Promise<Started>;
  /** Tests that this runtime or library cannot pass, by name, each with its reason, which is shown with the name. */
  readonly skip?: Readonly<Record<string, string>>;
}

/**
 * What an adapter for Server-Sent Events must do to be one: real connections to a real server.
 *
 * @example
 * sseSuite({ describe, it }, { start: async (hub) => startMyServer(hub) });
 */
export function sseSuite(runner: RunnerThatSkips, { start, skip }: SseSuiteOptions): void {
  const { test, end } = siteTests(runner, start, skip);

  runner.describe("server-sent events", () => {
    doorTests(test, {
      path: "sse",
      knock,
      async told(site, path, publish) {
        const stream = await open(site, path);
        await stream.next();
        await publish();
        return (await stream.next()).renders["1"]?.content;
      },
    });
    requestTests(test, "sse", "GET, HEAD");

    test("is a stream that nothing in between keeps or holds up", async (site) => {
      const { headers } = (await open(site, "/sse/channel/finals/")).answer;
      assert.match(headers["content-type"]!, /^text\/event-stream/);
      assert.match(headers["cache-control"]!, /no-store/);
      assert.match(headers["cache-control"]!, /no-transform/);
      assert.equal(headers["x-accel-buffering"], "no");
    });

    test(
      "HEAD is answered like GET, without the stream, and takes nobody's place",
      async (site) => {
        const head = await answerOf(`${site.url}/sse/channel/finals/`, { method: "HEAD" });
        assert.deepEqual([head.status, head.body], [200, ""]);
        const { answer } = await open(site, "/sse/channel/finals/");
        assert.equal(answer.status, 200);
        for (const name of ["content-type", "cache-control", "x-content-type-options", "vary"]) {
          assert.equal(head.headers[name], answer.headers[name], name);
        }
      },
      { maxConnectionsPerAddress: 1 },
    );

    test("the first event comes at once: a heartbeat for who has missed nothing", async (site) => {
      const { cursor } = await site.publisher.publish("finals", { 1: post("before") });
      for (const query of ["", "?cursor=", `?cursor=${cursor}`]) {
        const stream = await open(site, `/sse/channel/finals/${query}`);
        assert.deepEqual(await stream.next(), { renders: {}, removals: [], cursor });
        assert.equal(stream.events[0]?.id, cursor);
        assert.ok(stream.retry() >= 1_000 && stream.retry() <= 5_000, `${stream.retry()}`);
      }
    });

    test("a reader without a cursor gets what is published from then on", async (site) => {
      await site.publisher.publish("finals", { 1: post("before") });
      const stream = await open(site, "/sse/channel/finals/");
      await stream.next();
      const { cursor } = await site.publisher.publish("finals", { 2: post("after\nit") }, ["1"]);
      const update = {
        renders: { 2: { show: true, content: "after\nit", at: 2 } },
        removals: ["1"],
        cursor,
      };
      assert.deepEqual(await stream.next(), update);
      assert.equal(stream.events[1]?.id, cursor);
    });

    test("a reader with a cursor gets all it missed as one update, then goes on live", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 1: post("one") });
      for (let n = 2; n <= 50; n++) await site.publisher.publish("finals", { [n % 7]: post(`version ${n}`) });
      const stream = await open(site, `/sse/channel/finals/?cursor=${first}`);
      assert.equal(Object.keys((await stream.next()).renders).length, 7);
      const { cursor } = await site.publisher.publish("finals", { live: post("live") });
      assert.equal((await stream.next()).cursor, cursor);
      assert.equal(stream.frames().length, 2);
    });

    test("what the last event said counts, not what the URL said at first", async (site) => {
      const cursors: string[] = [];
      for (let n = 1; n <= 3; n++) {
        cursors.push((await site.publisher.publish("finals", { [n]: post(`${n}`) })).cursor);
      }
      const headers = { "last-event-id": cursors[1]! };
      const stream = await open(site, `/sse/channel/finals/?cursor=${cursors[0]}`, { headers });
      assert.deepEqual(Object.keys((await stream.next()).renders), ["3"]);
      const long = { headers: { "last-event-id": "x".repeat(129) } };
      assert.equal((await answerOf(`${site.url}/sse/channel/finals/`, long)).status, 400);
    });

    test("nothing is missed or doubled while readers join", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 0: post("0") });
      let last = first;
      const publishing = (async () => {
        for (let n = 1; n <= 200; n++) {
          last = (await site.publisher.publish("finals", { [n]: post(String(n)) })).cursor;
          if (n % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const path = `/sse/channel/finals/?cursor=${first}`;
      const streams = await Promise.all(Array.from({ length: 20 }, () => open(site, path)));
      await publishing;
      for (const stream of streams) {
        await eventually(() => assert.equal(stream.frames().at(-1)?.cursor, last));
        assert.deepEqual(
          stream.frames().flatMap(({ renders }) => Object.keys(renders).map(Number)),
          Array.from({ length: 200 }, (_, n) => n + 1),
        );
      }
    });

    test("a cursor that does not hold is reset, and the reader goes on live", async (site) => {
      const { cursor: head } = await site.publisher.publish("finals", { 1: post("one") });
      for (const cursor of ["unknown.7", "nonsense", `${head}9`]) {
        const stream = await open(site, `/sse/channel/finals/?cursor=${encodeURIComponent(cursor)}`);
        assert.deepEqual(await stream.next(), { renders: {}, removals: [], cursor: head, reset: true });
        assert.equal(stream.events[0]?.id, head);
      }
    });

    test("takes frames of 1 MB, in order", async (site) => {
      const stream = await open(site, "/sse/channel/finals/");
      const texts = Array.from({ length: 5 }, (_, n) => String(n).repeat(1_000_000));
      for (const [n, text] of texts.entries()) await site.publisher.publish("finals", { [n]: post(text) });
      const contents = () => stream.frames().flatMap(({ renders }) => Object.values(renders));
      await eventually(() => assert.equal(contents().length, texts.length));
      assert.deepEqual(
        contents().map(({ content }) => content),
        texts,
      );
    });

    test("a reader that stops reading costs no memory, and gets one compacted update when it goes on", async (site) => {
      const { publisher, hub, log } = site;
      const stream = await open(site, "/sse/channel/finals/");
      await stream.next();
      stream.answer.socket.pause();
      const versions = 100;
      const before = process.memoryUsage().arrayBuffers;
      for (let n = 1; n <= versions; n++) {
        await publisher.publish("finals", { same: post(`${n} `.repeat(100_000)) });
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(hub.stats().lagging, 1);
      const grown = process.memoryUsage().arrayBuffers - before;
      assert.ok(grown < 20_000_000, `grew by ${grown} bytes; ${versions} updates are 30 MB and more`);
      stream.answer.socket.resume();
      const [head] = await log.heads(["finals"]);
      await eventually(() => assert.equal(stream.events.at(-1)?.id, head));
      assert.ok(stream.events.length < versions / 2, `${stream.events.length} events`);
      assert.equal(stream.frames().at(-1)?.renders.same?.content, `${versions} `.repeat(100_000));
      await eventually(() => assert.equal(hub.stats().lagging, 0));
    });

    test("speaks HTTP/1.0, for proxies that do", async (site) => {
      const stream = await open(site, "/sse/channel/finals/", { version: "1.0" });
      await stream.next();
      const { cursor } = await site.publisher.publish("finals", { 1: post("one") });
      assert.equal((await stream.next()).cursor, cursor);
    });

    test("hub.close() tells readers when to come back, and ends their streams", async (site) => {
      const streams = await Promise.all(Array.from({ length: 5 }, () => open(site, "/sse/channel/finals/")));
      for (const stream of streams) await stream.next();
      const closing = site.hub.close({ retry: [100, 900] });
      for (const stream of streams) {
        assert.deepEqual(await stream.next(), { renders: {}, removals: [], retry: [100, 900] });
        await stream.answer.ended;
        // It takes the cursor of the last event along.
        assert.equal(stream.events.at(-1)?.id, undefined);
      }
      await closing;
      assert.equal(site.hub.stats().readers, 0);
    });

    test("what is published while the hub closes harms nobody", async (site) => {
      const [slow, quick] = [
        await open(site, "/sse/channel/finals/"),
        await open(site, "/sse/channel/finals/"),
      ];
      for (const stream of [slow, quick]) await stream.next();
      slow.answer.socket.pause();
      for (let n = 1; n <= 30; n++) {
        await site.publisher.publish("finals", { same: post(`${n} `.repeat(100_000)) });
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { cursor } = await site.publisher.publish("finals", { last: post("before the end") });
      await eventually(() => assert.equal(quick.events.at(-1)?.id, cursor));
      const closing = site.hub.close({ drainMs: 300 });
      const publishing = site.publisher.publish("finals", { same: post("after the end") });
      await Promise.all([closing, publishing, quick.answer.ended]);
      assert.equal(quick.events.at(-1)?.id, undefined);
      assert.equal((await answerOf(`${site.url}/sse/channel/finals/`)).status, 503);
    });

    test("reaches a thousand readers", async (site) => {
      const streams: Stream[] = [];
      for (let n = 0; n < 20; n++) {
        const more = Array.from({ length: 50 }, () => open(site, "/sse/channel/finals/"));
        streams.push(...(await Promise.all(more)));
      }
      await eventually(() => assert.equal(site.hub.stats().readers, 1000));
      for (let n = 0; n < 10; n++) await site.publisher.publish("finals", { [n]: post(String(n)) });
      const all = Array.from({ length: 10 }, (_, n) => String(n));
      for (const stream of streams) {
        await eventually(() =>
          assert.deepEqual(
            stream.frames().flatMap(({ renders }) => Object.keys(renders)),
            all,
          ),
        );
      }
    });

    end();
  });
}

// --- words of the tests ----------------------------------------------------------------------------------

interface Event {
  readonly id: string | undefined;
  readonly data: string;
}

interface Stream {
  readonly answer: Answered;
  /** All events with data so far. */
  readonly events: Event[];
  frames(): Frame[];
  /** The next frame that this was not asked for yet. */
  next(): Promise<Frame>;
  /** How long an `EventSource` is told to wait before it returns, in milliseconds. */
  retry(): number;
}

async function open({ url, defer }: Site, path: string, asking: Asking = {}): Promise<Stream> {
  const answer = await ask(url + path, asking);
  defer(() => answer.socket.destroy());
  assert.equal(answer.status, 200);
  const events: Event[] = [];
  let wake = () => {};
  let parts: string[] = [];
  let retry = Number.NaN;
  let taken = 0;
  answer.onText((text) => {
    const [first = "", ...rest] = text.split("\n\n");
    parts.push(first);
    for (const next of rest) {
      const fields = new Map(
        parts
          .join("")
          .split("\n")
          .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
      );
      parts = [next];
      if (fields.has("retry")) retry = Number(fields.get("retry"));
      if (fields.has("data")) events.push({ id: fields.get("id"), data: fields.get("data")! });
    }
    if (rest.length > 0) wake();
  });
  return {
    answer,
    events,
    frames: () => events.map(({ data }) => frameOf(data)).filter((frame) => !isHeartbeat(frame)),
    async next() {
      while (events.length <= taken) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const ended = answer.ended.then(() => Promise.reject(new Error("the stream ended")));
        ended.catch(() => {});
        await Promise.race([woken, ended]);
      }
      return frameOf(events[taken++]!.data);
    },
    retry: () => retry,
  };
}

function isHeartbeat({ renders, removals, ...control }: Frame): boolean {
  return (
    Object.keys(renders).length + removals.length === 0 && !("reset" in control) && !("retry" in control)
  );
}
