import { execFileSync } from "node:child_process";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Block, Post } from "../../src/pages/model.ts";
import { postgresStore } from "../../src/pages/postgres.ts";
import type { Change, PageStore } from "../../src/pages/store.ts";
import { draftUpdate, parseCursor, type Render } from "../../src/protocol.ts";
import type { PostgresPool } from "../../src/services/postgres-pool.ts";
import { logSuite } from "../../src/testing/log-suite.ts";
import { eventually } from "../../src/testing/runner.ts";
import { storeSuite } from "../../src/testing/store-suite.ts";
import { describeWith } from "../support/describe-with.ts";
import { emptyPostgres, onPostgres } from "../support/postgres.ts";
import { type Service, startService } from "../support/services.ts";

describeWith("postgres", () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService("postgres");
  });
  afterAll(() => service.close());

  const open = () => postgresStore({ url: service.url, connections: 4, onError: () => {} });

  async function make() {
    await emptyPostgres(service.url);
    return { value: await open() };
  }

  /** As it is for processes after the server's restart; the restart itself is tested below. */
  async function reopen() {
    await onPostgres(service.url, "UPDATE tidings.channels SET run = 'before the restart'");
    return open();
  }

  storeSuite({ describe, it }, { make, reopen });
  logSuite({ describe, it }, { make, reopen });

  /** Stores of as many processes, that end with the test. */
  async function openAll(count: number): Promise<PageStore[]> {
    await emptyPostgres(service.url);
    const stores = await Promise.all(Array.from({ length: count }, open));
    onTestFinished(async () => {
      await Promise.all(stores.map((store) => store.close()));
    });
    return stores;
  }

  it("processes that start at the same moment on an empty database make one schema, and share its secrets", async () => {
    const stores = await openAll(3);
    const secrets = await Promise.all(stores.map((store, n) => store.secret("token", () => `of ${n}`)));
    expect(new Set(secrets.map(({ value }) => value)).size).toBe(1);
    expect(secrets.filter(({ made }) => made)).toHaveLength(1);
    const starts = await Promise.all(stores.map((store) => store.heads(["nobody's"])));
    expect(new Set(starts.flat()).size).toBe(1);
  });

  it("makes one change of requests with one key, whichever processes they reach; all get its answer", async () => {
    const stores = await openAll(3);
    const all = <T>(ask: (store: PageStore, key: { idempotencyKey: string }) => Promise<T>) =>
      Promise.all(
        stores.flatMap((store) => [1, 2].map(() => ask(store, { idempotencyKey: "k".repeat(4_000) }))),
      );
    const one = (values: readonly unknown[]) =>
      expect(values.slice(1)).toEqual(values.slice(1).fill(values[0]));

    const pages = await all((store, key) => store.createPage({ channelId: "finals", title: "Finals" }, key));
    one(pages.map(({ value }) => value));
    const posts = await all((store, key) => store.createPost("finals", { content: text("Goal!") }, key));
    one(posts.map(({ value }) => value));
    expect(posts.filter(({ announcement }) => "renders" in announcement)).toHaveLength(1);
    expect((await stores[0]!.listPosts("finals")).items).toEqual([posts[0]!.value]);
    const picture = { type: "image/png", width: 1, height: 1 } as const;
    one(await all((store, key) => store.addImage(picture, Buffer.from("bytes"), key)));
    const entries = await all((store, key) => store.append("elsewhere", shown("a", "A"), key));
    one(entries.map(({ cursor }) => cursor));
    expect(parseCursor(entries[0]!.cursor)!.seq).toBe(1);
  });

  it("makes a page once, whoever wants it at the same time, and never under someone's append", async () => {
    const stores = await openAll(3);
    for (let round = 0; round < 10; round++) {
      const channelId = `page ${round}`;
      const outcomes = await Promise.allSettled([
        ...stores.map((store) => store.createPage({ channelId, title: channelId })),
        ...stores.map((store, n) => store.append(channelId, shown(`ghost ${n}`, "x"))),
      ]);
      const made = outcomes.slice(0, 3).filter(({ status }) => status === "fulfilled");
      expect(made).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "conflict" });
      }
      expect((await stores[0]!.viewPage(channelId)).posts).toEqual([]);
      expect(await stores[1]!.since(channelId, null)).toMatchObject({ entry: { removals: [] }, more: false });
    }
  });

  it("20 writers and 3 readers over three processes: nothing missed, doubled or out of order", async () => {
    const stores = await openAll(3);
    const { value: page } = await stores[0]!.createPage({ channelId: "finals", title: "Finals" });
    const start = parseCursor(page.cursor)!;
    const total = 20 * 15;
    /** What each change was, by its number: the truth to which readers are held. */
    const truth = new Map<number, string>();

    const writers = Array.from({ length: 20 }, async (_, writer) => {
      const store = stores[writer % 3]!;
      let mine: string | undefined;
      for (let n = 0; n < 15; n++) {
        const content = text(`${writer}, ${n}`);
        const change: Change<Post> =
          mine === undefined || n % 3 === 0
            ? await store.createPost("finals", { content })
            : await store.updatePost("finals", mine, { content });
        mine = change.value.id;
        truth.set(parseCursor(change.announcement.cursor)!.seq, mine);
      }
    });

    const readers = stores.map(async (store) => {
      const reader = new Map<string, Render>();
      let cursor = page.cursor;
      let seen = start.seq;
      const steps: { from: number; to: number; ids: string[] }[] = [];
      while (seen < start.seq + total) {
        const answer = await store.since("finals", cursor);
        if ("reset" in answer) throw new Error(`reset at ${cursor}`);
        const { renders } = answer.entry;
        ({ cursor } = answer.entry);
        const to = parseCursor(cursor)!.seq;
        steps.push({ from: seen, to, ids: [...renders.keys()] });
        for (const [id, render] of renders) reader.set(id, render);
        seen = to;
      }
      return { reader, steps };
    });

    const followed = await Promise.all(readers);
    await Promise.all(writers);
    expect([...truth.keys()].sort((a, b) => a - b)).toEqual(
      Array.from({ length: total }, (_, n) => start.seq + 1 + n),
    );
    const { posts } = await stores[0]!.viewPage("finals");
    for (const { reader, steps } of followed) {
      const shownTo = [...reader].map(([id, render]) => ({ id, ...render })).sort((a, b) => b.at - a.at);
      expect(shownTo).toEqual(posts);
      for (const { from, to, ids } of steps) {
        const expected = new Set<string>();
        for (let seq = from + 1; seq <= to; seq++) expected.add(truth.get(seq)!);
        expect(new Set(ids)).toEqual(expected);
      }
    }
  });

  it("a server that is killed and started again keeps what was acknowledged, in a new epoch; old cursors hold", async () => {
    const [store, other] = (await openAll(2)) as [PageStore, PageStore];
    const { value: page } = await store.createPage({ channelId: "finals", title: "Finals" });
    const acknowledged: string[] = [];
    const writing = (async () => {
      for (let n = 0; ; n++) {
        const { value } = await store.createPost("finals", { content: text(`post ${n}`) });
        acknowledged.push(value.id);
      }
    })();
    const cut = expect(writing).rejects.toMatchObject({ code: "unavailable" });
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(20));
    await service.kill();
    await cut;
    await expect(other.viewPage("finals")).rejects.toMatchObject({ code: "unavailable" });
    await service.start();

    const before = await other.viewPage("finals");
    expect(before.posts.map(({ id }) => id)).toEqual(expect.arrayContaining(acknowledged));
    expect(parseCursor(before.cursor)!.epoch).toBe(parseCursor(page.cursor)!.epoch);
    const { value, announcement } = await store.createPost("finals", { content: text("after") });
    const [old, young] = [parseCursor(before.cursor)!, parseCursor(announcement.cursor)!];
    expect(young).toEqual({ epoch: expect.not.stringMatching(old.epoch), seq: old.seq + 1 });
    const missed = await other.since("finals", before.cursor);
    expect("entry" in missed && [...missed.entry.renders.keys()]).toEqual([value.id]);
    const lost = `${old.epoch}.${old.seq + 1}`;
    expect(await other.since("finals", lost)).toEqual({ reset: announcement.cursor });
    const { announcement: next } = await other.createPost("finals", { content: text("and on") });
    expect(parseCursor(next.cursor)).toEqual({ epoch: young.epoch, seq: young.seq + 1 });
  });

  it("whenever another process begins the epoch, a reset is answered in it", async () => {
    const STATEMENTS = 6; // of `since`, until it holds the lock under which an epoch begins
    const [store] = (await openAll(1)) as [PageStore];
    const lost: string[] = [];
    for (let n = 0; n < STATEMENTS; n++) {
      const { value: page } = await store.createPage({ channelId: `page ${n}`, title: "Finals" });
      const { epoch, seq } = parseCursor(page.cursor)!;
      lost.push(`${epoch}.${seq + 3}`);
    }
    await service.kill();
    await service.start();

    const pool = new pg.Pool({ connectionString: service.url });
    pool.on("connect", (client) => client.on("error", () => {}));
    onTestFinished(() => pool.end());
    let before = async (): Promise<void> => {};
    const own: PostgresPool = {
      async connect() {
        // As it is now: a purge that began with the store is no part of what is asked later.
        const meanwhile = before;
        const client = await pool.connect();
        return {
          async query(query) {
            await meanwhile();
            return client.query(query);
          },
          on() {},
          release: (destroy) => client.release(destroy),
        };
      },
      on: (event, listener) => pool.on(event, listener),
      removeListener: (event, listener) => pool.removeListener(event, listener),
      end: () => pool.end(),
    };
    const other = await postgresStore({ pool: own });
    for (let n = 0; n < STATEMENTS; n++) {
      let statements = 0;
      const toldThere: unknown[] = [];
      before = async () => {
        if (statements++ === n) toldThere.push(await store.since(`page ${n}`, lost[n]!));
      };
      const told = await other.since(`page ${n}`, lost[n]!);
      const [head] = await store.heads([`page ${n}`]);
      expect(toldThere).toEqual([{ reset: head }]);
      expect(told).toEqual({ reset: head });
    }
    before = async () => {};
    await other.close();
  });

  it("a backup restored into the running server: cursors of the lost end reset", async () => {
    const [store] = (await openAll(1)) as [PageStore];
    await store.createPage({ channelId: "finals", title: "Finals" });
    const { announcement: kept } = await store.createPost("finals", { content: text("kept") });
    const [config] = await onPostgres(service.url, "SELECT setting FROM pg_config WHERE name = 'BINDIR'");
    const folder: string = config!.rows[0].setting;
    const backup = execFileSync(join(folder, "pg_dump"), ["--clean", "--schema", "tidings", service.url]);
    const lost: string[] = [];
    for (let n = 0; n < 3; n++) {
      lost.push((await store.createPost("finals", { content: text(`lost ${n}`) })).announcement.cursor);
    }
    execFileSync(join(folder, "psql"), ["--quiet", service.url], {
      input: `SET client_min_messages = warning;\n${backup}`,
      stdio: ["pipe", "ignore", "inherit"],
    });

    // At once, for a cache may have kept the page of a lost end, whose epoch it would be.
    const told = (await store.since("finals", lost[2]!)) as { reset: string };
    const [keptAt, toldAt] = [parseCursor(kept.cursor)!, parseCursor(told.reset)!];
    expect(toldAt).toEqual({ epoch: expect.not.stringMatching(keptAt.epoch), seq: keptAt.seq });
    expect(await store.since("finals", kept.cursor)).toMatchObject({ entry: { cursor: told.reset } });

    const { announcement } = await store.createPost("finals", { content: text("new") });
    for (let n = 1; n < 3; n++) await store.createPost("finals", { content: text(`new ${n}`) });
    const { cursor: head } = await store.viewPage("finals");
    for (const cursor of lost) expect(await store.since("finals", cursor)).toEqual({ reset: head });
    expect(await store.since("finals", kept.cursor)).toMatchObject({ entry: { cursor: head } });
    expect(parseCursor(announcement.cursor)!.seq).toBe(parseCursor(kept.cursor)!.seq + 1);
  });

  it("a database copied from another and put in its place begins a new epoch", async () => {
    const copy = service.url.replace(/\w+$/, "copy");
    const [store] = (await openAll(1)) as [PageStore];
    await store.createPage({ channelId: "finals", title: "Finals" });
    const { announcement: before } = await store.createPost("finals", { content: text("kept") });
    await store.close();
    await onPostgres(service.url.replace(/\w+$/, "template1"), "CREATE DATABASE copy TEMPLATE postgres");
    const copied = await postgresStore({ url: copy, onError: () => {} });
    const { announcement: after } = await copied.createPost("finals", { content: text("new") });
    await copied.close();
    await onPostgres(service.url, "DROP DATABASE copy");
    const [old, young] = [parseCursor(before.cursor)!, parseCursor(after.cursor)!];
    expect(young).toEqual({ epoch: expect.not.stringMatching(old.epoch), seq: old.seq + 1 });
  });

  it("statements cancelled anywhere harm nobody who comes later", async () => {
    const [store] = (await openAll(1)) as [PageStore];
    await store.createPage({ channelId: "finals", title: "Finals" });
    const cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidings'";
    let isCancelling = true;
    const cancelled: unknown[] = [];
    const reading = Array.from({ length: 8 }, async () => {
      while (isCancelling) await store.viewPage("finals").catch((error) => cancelled.push(error));
    });
    await onPostgres(service.url, ...Array<string>(1_000).fill(cancel));
    isCancelling = false;
    await Promise.all(reading);
    expect(cancelled.length).toBeGreaterThan(0);
    for (let n = 0; n < 20; n++) await store.viewPage("finals");
  });

  it("connections cut in the middle of changes: each is there whole or not at all, and its key makes it once", async () => {
    const [store] = (await openAll(1)) as [PageStore];
    await store.createPage({ channelId: "finals", title: "Finals" });
    const cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidings'";
    let isWriting = true;
    let cuts = 0;
    const cutting = (async () => {
      while (isWriting) {
        await onPostgres(service.url, cut);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    for (let n = 0; n < 100; n++) {
      for (;;) {
        try {
          await store.createPost("finals", { content: text(`post ${n}`) }, { idempotencyKey: `key ${n}` });
          break;
        } catch (error) {
          expect(error).toMatchObject({ code: "unavailable" });
          cuts++;
        }
      }
    }
    isWriting = false;
    await cutting;
    expect(cuts).toBeGreaterThan(0);
    const { page, posts } = await store.viewPage("finals");
    expect(posts.map(({ at }) => at)).toEqual(Array.from({ length: 100 }, (_, n) => 100 - n));
    expect(page.posts).toBe(100);
    expect(parseCursor(page.cursor)!.seq).toBe(100);
  });

  it("uses a pool of the caller's and leaves it open", async () => {
    await emptyPostgres(service.url);
    const pool = new pg.Pool({ connectionString: service.url });
    onTestFinished(() => pool.end());
    const store = await postgresStore({ pool });
    await store.createPage({ channelId: "finals", title: "Finals" });
    await store.close();
    expect((await pool.query("SELECT title FROM tidings.channels")).rows).toEqual([{ title: "Finals" }]);
  });
});

// --- words of the tests ----------------------------------------------------------------------------------

const text = (value: string): Block[] => [{ type: "text", value }];

const shown = (id: string, content: string) => draftUpdate([{ id, show: true, content }]);
