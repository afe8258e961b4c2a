import assert from "node:assert/strict";
import type { Hub } from "../hub/hub.ts";
import { memoryLog } from "../logs/memory.ts";
import type { Cursor, Frame } from "../protocol.ts";
import { type Asking, answerOf, ask } from "./http-client.ts";
import { frameOf, knock, requestTests } from "./requests.ts";
import { eventually } from "./runner.ts";
import { doorTests, post, type RunnerThatSkips, type Site, type Started, siteTests } from "./site.ts";

export interface PollingSuiteOptions {
  /**
   * Starts a server that serves the hub to readers that poll, at `/updates/channel/<id>/`, on loopback, and answers
   * other paths with 404. `url` is `http://host:port`.
   */
  readonly start: (hub: Hub) => Promise<Started>;
  /** Tests that this runtime or library cannot pass, by name, each with its reason, which is shown with the name. */
  readonly skip?: Readonly<Record<string, string>>;
}

const FINALS = "/updates/channel/finals/";

/**
 * What an adapter for readers that poll must do to be one: real requests to a real server.
 *
 * @example
 * pollingSuite({ describe, it }, { start: async (hub) => startMyServer(hub) });
 */
export function pollingSuite(runner: RunnerThatSkips, { start, skip }: PollingSuiteOptions): void {
  const { test, end } = siteTests(runner, start, skip);

  runner.describe("polling", () => {
    doorTests(test, {
      path: "updates",
      knock,
      async told(site, path, publish) {
        const { cursor } = await poll(site, path);
        const waiting = poll(site, `${path}?cursor=${cursor}&wait=30`);
        await eventually(() => assert.equal(site.hub.stats().readers, 1));
        await publish();
        return (await waiting).renders["1"]?.content;
      },
    });
    requestTests(test, "updates", "GET, HEAD");

    test("without a cursor it tells where the page is now, at once", async (site) => {
      const { cursor } = await site.publisher.publish("finals", { 1: post("before") });
      for (const query of ["", "?cursor=", "?wait=30", "?cursor=&wait=30"]) {
        assert.deepEqual(await poll(site, FINALS + query), { renders: {}, removals: [], cursor });
      }
    });

    test("with a cursor it tells all that was missed as one update", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 1: post("one") });
      for (let n = 2; n <= 50; n++) await site.publisher.publish("finals", { [n % 7]: post(`version ${n}`) });
      const [head] = await site.log.heads(["finals"]);
      for (const wait of ["", "&wait=30"]) {
        const missed = await poll(site, `${FINALS}?cursor=${first}${wait}`);
        assert.equal(Object.keys(missed.renders).length, 7);
        assert.equal(missed.cursor, head);
      }
      assert.deepEqual(await poll(site, `${FINALS}?cursor=${head}`), nothing(head!));
    });

    test("each kind of answer says how long it may be kept, and by which name", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 1: post("one") });
      const { cursor: head } = await site.publisher.publish("finals", { 2: post("two") });
      const about = async (query: string) => {
        const { status, headers } = await answerOf(`${site.url}${FINALS}?cursor=${query}`);
        assert.equal(status, 200);
        assert.equal(headers["content-type"], "application/json; charset=utf-8");
        const maxAge = /s-maxage=(\d+)/.exec(headers["cache-control"]!)?.[1];
        assert.match(headers["cache-control"]!, /^(public, max-age=0, s-maxage=|no-store$)/);
        return [maxAge, headers.etag];
      };
      assert.deepEqual(await about(first), ["5", `W/"update-${head}"`]);
      assert.deepEqual(await about(head), ["1", `W/"nothing-${head}"`]);
      assert.deepEqual(await about("unknown.7"), ["1", `W/"reset-${head}"`]);
      assert.deepEqual(await about(`${first}&wait=30`), [undefined, undefined]);
    });

    test("what the reader has already is answered with 304", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 1: post("one") });
      const { cursor: head } = await site.publisher.publish("finals", { 2: post("two") });
      for (const [cursor, tag] of [
        [first, `W/"update-${head}"`],
        [head, `W/"nothing-${head}"`],
        [head, `"other", "nothing-${head}"`],
      ]) {
        const asking = { headers: { "if-none-match": tag! } };
        const answer = await answerOf(`${site.url}${FINALS}?cursor=${cursor}`, asking);
        assert.deepEqual([answer.status, answer.body], [304, ""]);
        assert.ok(answer.headers.etag);
        assert.match(answer.headers["cache-control"]!, /s-maxage/);
        assert.equal(answer.headers.vary, "Origin");
      }
      const asking = { headers: { "if-none-match": `W/"nothing-${first}"` } };
      assert.equal((await answerOf(`${site.url}${FINALS}?cursor=${head}`, asking)).status, 200);
    });

    test("HEAD is answered like GET, without the body", async (site) => {
      const { cursor } = await site.publisher.publish("finals", { 1: post("é") });
      await site.publisher.publish("finals", { 2: post("é") });
      const url = `${site.url}${FINALS}?cursor=${cursor}`;
      const [get, head] = [await answerOf(url), await answerOf(url, { method: "HEAD" })];
      assert.deepEqual([head.status, head.body], [200, ""]);
      for (const name of ["content-type", "cache-control", "etag", "vary"]) {
        assert.equal(head.headers[name], get.headers[name], name);
      }
    });

    test("an answer that waits is given as soon as something is published", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 1: post("one") });
      const waiting = Array.from({ length: 20 }, () =>
        answerOf(`${site.url}${FINALS}?cursor=${first}&wait=30`),
      );
      await eventually(() => assert.equal(site.hub.stats().readers, 20));
      const { cursor } = await site.publisher.publish("finals", { 2: post("two") }, ["1"]);
      for (const { status, headers, body } of await Promise.all(waiting)) {
        assert.equal(status, 200);
        assert.equal(headers["cache-control"], "no-store");
        const renders = { 2: { show: true, content: "two", at: 2 } };
        assert.deepEqual(frameOf(body), { renders, removals: ["1"], cursor });
      }
      assert.equal(site.hub.stats().readers, 0);
    });

    test("when the time is over it tells that nothing has come", async (site) => {
      const { cursor } = await site.publisher.publish("finals", { 1: post("one") });
      for (const wait of ["0.5", "1"]) {
        const asked = performance.now();
        assert.deepEqual(await poll(site, `${FINALS}?cursor=${cursor}&wait=${wait}`), nothing(cursor));
        const waited = performance.now() - asked;
        assert.ok(waited >= Number(wait) * 1_000 - 5 && waited < 10_000, `${waited} ms`);
      }
      assert.equal(site.hub.stats().readers, 0);
    });

    test("a wait that is none is not waited for", async (site) => {
      const { cursor } = await site.publisher.publish("finals", { 1: post("one") });
      for (const wait of ["", "0", "-1", "abc", "NaN", "-Infinity", "%FF", "1,5"]) {
        const { headers, body } = await answerOf(`${site.url}${FINALS}?cursor=${cursor}&wait=${wait}`);
        assert.deepEqual(frameOf(body), nothing(cursor));
        assert.match(headers["cache-control"]!, /s-maxage=1/);
      }
      assert.equal(site.hub.stats().admitted, 0);
    });

    test("nothing is missed or doubled by readers that ask again and again", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 0: post("0") });
      let last = first;
      let isOver = false;
      const publishing = (async () => {
        for (let n = 1; n <= 200; n++) {
          last = (await site.publisher.publish("finals", { [n]: post(String(n)) })).cursor;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        isOver = true;
      })();
      const follow = async (wait: string) => {
        const ids: number[] = [];
        for (let cursor = first; !isOver || cursor !== last; ) {
          const frame = await poll(site, `${FINALS}?cursor=${cursor}${wait}`);
          ids.push(...Object.keys(frame.renders).map(Number));
          cursor = frame.cursor!;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return ids;
      };
      const readers = Array.from({ length: 10 }, (_, n) => follow(n % 2 ? "&wait=1" : ""));
      await publishing;
      const all = Array.from({ length: 200 }, (_, n) => n + 1);
      for (const ids of await Promise.all(readers)) assert.deepEqual(ids, all);
    });

    test("a cursor that does not hold is reset", async (site) => {
      const { cursor: head } = await site.publisher.publish("finals", { 1: post("one") });
      for (const cursor of ["unknown.7", "nonsense", `${head}9`]) {
        for (const wait of ["", "&wait=30"]) {
          const frame = await poll(site, `${FINALS}?cursor=${encodeURIComponent(cursor)}${wait}`);
          assert.deepEqual(frame, { renders: {}, removals: [], cursor: head, reset: true });
        }
      }
    });

    test("a long history comes in parts, of 1 MB and more, in order", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { start: post("") });
      const texts = Array.from({ length: 5 }, (_, n) => String(n).repeat(1_000_000));
      for (const [n, text] of texts.entries()) await site.publisher.publish("finals", { [n]: post(text) });
      const [head] = await site.log.heads(["finals"]);
      for (const wait of ["", "&wait=30"]) {
        const contents: string[] = [];
        for (let cursor = first; cursor !== head; ) {
          const frame = await poll(site, `${FINALS}?cursor=${cursor}${wait}`);
          contents.push(...Object.values(frame.renders).map(({ content }) => content));
          cursor = frame.cursor!;
        }
        assert.deepEqual(contents, texts);
      }
    });

    test("speaks HTTP/1.0, for proxies that do", async (site) => {
      const { cursor } = await site.publisher.publish("finals", { 1: post("one") });
      const waiting = poll(site, `${FINALS}?cursor=${cursor}&wait=30`, { version: "1.0" });
      await eventually(() => assert.equal(site.hub.stats().readers, 1));
      await site.publisher.publish("finals", { 2: post("two") });
      assert.deepEqual(Object.keys((await waiting).renders), ["2"]);
    });

    test("hub.close() answers those who wait with the time to come back", async (site) => {
      const { cursor } = await site.publisher.publish("finals", { 1: post("one") });
      const waiting = Array.from({ length: 5 }, () => poll(site, `${FINALS}?cursor=${cursor}&wait=30`));
      await eventually(() => assert.equal(site.hub.stats().readers, 5));
      await site.hub.close({ retry: [100, 900] });
      for (const frame of await Promise.all(waiting)) {
        assert.deepEqual(frame, { renders: {}, removals: [], retry: [100, 900] });
      }
      assert.equal(site.hub.stats().readers, 0);
    });

    const failing = memoryLog();
    const { since } = failing;
    test(
      "what cannot be read is answered with 503, and is asked for again",
      async (site) => {
        const { cursor } = await site.publisher.publish("finals", { 1: post("one") });
        await site.publisher.publish("finals", { 2: post("two") });
        failing.since = () => Promise.reject(new Error("the disk is gone"));
        const { status, headers } = await answerOf(`${site.url}${FINALS}?cursor=${cursor}`);
        assert.deepEqual([status, headers["retry-after"], headers["cache-control"]], [503, "5", "no-store"]);
        failing.since = since;
        // Not before a log that has failed is asked again.
        await eventually(async () => {
          assert.deepEqual(Object.keys((await poll(site, `${FINALS}?cursor=${cursor}`)).renders), ["2"]);
        });
      },
      { log: failing, onError() {} },
    );

    test("reaches a thousand readers", async (site) => {
      const { cursor: first } = await site.publisher.publish("finals", { 0: post("0") });
      const waiting = Array.from({ length: 1000 }, () => ask(`${site.url}${FINALS}?cursor=${first}&wait=30`));
      await eventually(() => assert.equal(site.hub.stats().readers, 1000));
      await site.publisher.publish("finals", { 1: post("one") });
      for (const { ended } of await Promise.all(waiting)) {
        assert.deepEqual(Object.keys(frameOf(await ended).renders), ["1"]);
      }
      assert.equal(site.hub.stats().readers, 0);
    });

    end();
  });
}

// --- words of the tests ----------------------------------------------------------------------------------

const nothing = (cursor: Cursor) => ({ renders: {}, removals: [], cursor });

async function poll({ url }: Site, path: string, asking: Asking = {}): Promise<Frame> {
  const { status, body } = await answerOf(url + path, asking);
  assert.equal(status, 200, body);
  return frameOf(body);
}
