import assert from "node:assert/strict";
import type { Block } from "../pages/model.ts";
import type { Change, PageStore } from "../pages/store.ts";
import { draftUpdate, type Entry, parseCursor } from "../protocol.ts";
import { type Made, type Runner, withMade } from "./runner.ts";

export interface StoreSuiteOptions {
  /** Makes an empty store. */
  readonly make: () => Promise<Made<PageStore>> | Made<PageStore>;
  /** Opens the store anew over the same storage after it was closed. */
  readonly reopen: (store: PageStore) => Promise<PageStore>;
}

/**
 * What a page store must do to be one. It is a log too: pass it to `logSuite` as well.
 *
 * @example
 * storeSuite({ describe, it }, { make: () => ({ value: sqliteStore({ path }) }), reopen });
 */
export function storeSuite({ describe, it }: Runner, { make, reopen }: StoreSuiteOptions): void {
  const test = (name: string, body: (store: PageStore) => Promise<void>) =>
    it(name, () => withMade(make, body));

  describe("page store", () => {
    test("makes, lists, renames and deletes pages", async (store) => {
      const { value: made } = await store.createPage({ channelId: "finals", title: "The finals" });
      assert.equal(made.channelId, "finals");
      assert.equal(made.posts, 0);
      assert.ok(Math.abs(made.created - Date.now()) < 10_000);
      assert.deepEqual(await store.getPage("finals"), made);
      await assert.rejects(store.createPage({ channelId: "finals", title: "Again" }), {
        code: "conflict",
        field: "channelId",
      });
      await assert.rejects(store.createPage({ channelId: "a/b", title: "No" }), {
        code: "invalid",
        field: "channelId",
      });
      const renamed = await store.updatePage("finals", { title: "The cup finals" });
      assert.equal(renamed.title, "The cup finals");
      assert.equal(renamed.cursor, made.cursor);
      assert.deepEqual(await store.hasPages(["finals", "other"]), [true, false]);
      await store.deletePage("finals");
      assert.deepEqual(await store.hasPages(["finals"]), [false]);
      for (const call of [
        () => store.getPage("finals"),
        () => store.updatePage("finals", { title: "x" }),
        () => store.deletePage("finals"),
        () => store.viewPage("finals"),
        () => store.listPosts("finals"),
        () => store.createPost("finals", { content: text("x") }),
      ]) {
        await assert.rejects(call(), { code: "not_found" });
      }
    });

    test("lists in parts, newest first, none twice", async (store) => {
      const names = Array.from({ length: 7 }, (_, n) => `page ${n}.x`);
      for (const channelId of names) await store.createPage({ channelId, title: channelId });
      const pages = await all((options) => store.listPages({ ...options, limit: 3 }));
      assert.deepEqual(new Set(pages.map(({ channelId }) => channelId)), new Set(names));
      assert.equal(pages.length, 7);
      for (let n = 0; n < 7; n++) await store.createPost("page 0.x", { content: text(`post ${n}`) });
      const posts = await all((options) => store.listPosts("page 0.x", { ...options, limit: 3 }));
      assert.deepEqual(
        posts.map(({ content }) => (content[0] as { value: string }).value),
        [6, 5, 4, 3, 2, 1, 0].map((n) => `post ${n}`),
      );
      await assert.rejects(store.listPosts("page 0.x", { after: "nonsense" }), {
        code: "invalid",
        field: "after",
      });
      await assert.rejects(store.listPages({ after: "nonsense" }), { code: "invalid", field: "after" });
    });

    test("a post's changes are updates of the page, in one history", async (store) => {
      await page(store);
      const { cursor: start } = await store.getPage("finals");
      const made = await store.createPost("finals", { content: text("Goal!") });
      const { id, at, version } = made.value;
      assert.match(rendered(made, id).content, /Goal!/);
      assert.equal(rendered(made, id).at, at);

      const edited = await store.updatePost("finals", id, { content: text("No goal.") });
      assert.match(rendered(edited, id).content, /No goal\./);
      assert.notEqual(edited.value.version, version);
      assert.ok(edited.value.modified > edited.value.created);

      const hidden = await store.updatePost("finals", id, { show: false });
      assert.deepEqual(rendered(hidden, id), { show: false, content: "", at });
      assert.equal(hidden.value.modified, edited.value.modified);
      const shown = await store.updatePost("finals", id, { show: true });
      assert.match(rendered(shown, id).content, /No goal\./);
      assert.equal(shown.value.at, at);

      const deleted = await store.deletePost("finals", id);
      assert.deepEqual((deleted.announcement as Entry).removals, [id]);
      await assert.rejects(store.getPost("finals", id), { code: "not_found" });

      const answer = await store.since("finals", start);
      assert.ok("entry" in answer);
      assert.deepEqual([answer.entry.renders.size, answer.entry.removals], [0, [id]]);
      assert.equal(parseCursor(answer.entry.cursor)!.seq, parseCursor(start)!.seq + 5);
      assert.equal((await store.getPage("finals")).cursor, answer.entry.cursor);
    });

    test("a hidden post's text is nowhere but in the editor's reach, and its edits are versions", async (store) => {
      await page(store);
      const { cursor: start } = await store.getPage("finals");
      const { value: post } = await store.createPost("finals", { content: text("secret"), show: false });
      const { value: edited } = await store.updatePost("finals", post.id, { content: text("secret too") });
      assert.notEqual(edited.version, post.version);
      await assert.rejects(
        store.updatePost("finals", post.id, { content: text("x") }, { versions: [post.version] }),
        { code: "stale" },
      );
      const view = await store.viewPage("finals");
      assert.deepEqual(view.posts, [{ id: post.id, at: post.at, show: false, content: "" }]);
      const answer = await store.since("finals", start);
      assert.ok("entry" in answer);
      assert.doesNotMatch(JSON.stringify([...answer.entry.renders]), /secret/);
      assert.deepEqual((await store.getPost("finals", post.id)).content, text("secret too"));
      assert.equal(view.page.posts, 0);
    });

    test("a view is one snapshot: what it holds is what its cursor says", async (store) => {
      await page(store);
      const writing = (async () => {
        for (let n = 0; n < 50; n++) await store.createPost("finals", { content: text(`post ${n}`) });
      })();
      for (let n = 0; n < 20; n++) {
        const { cursor, posts } = await store.viewPage("finals");
        const answer = await store.since("finals", cursor);
        assert.ok("entry" in answer);
        const { renders } = answer.entry;
        assert.equal(parseCursor(cursor)!.seq, posts.length);
        assert.ok(!posts.some(({ id }) => renders.has(id)));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await writing;
      const { posts } = await store.viewPage("finals");
      assert.deepEqual(
        posts.map(({ at }) => at),
        Array.from({ length: 50 }, (_, n) => 50 - n),
      );
    });

    test("a change is made only to the version it was meant for", async (store) => {
      await page(store);
      const { value: post } = await store.createPost("finals", { content: text("one") });
      const theirs = await store.updatePost("finals", post.id, { content: text("theirs") });
      const mine = { versions: [post.version] };
      await assert.rejects(store.updatePost("finals", post.id, { content: text("mine") }, mine), {
        code: "stale",
      });
      await assert.rejects(store.deletePost("finals", post.id, mine), { code: "stale" });
      assert.deepEqual((await store.getPost("finals", post.id)).content, text("theirs"));
      await store.deletePost("finals", post.id, { versions: ["other", theirs.value.version] });
    });

    test("a change that changes nothing is no update", async (store) => {
      await page(store);
      const { value: post } = await store.createPost("finals", { content: text("one") });
      const { cursor } = await store.getPage("finals");
      const change = await store.updatePost("finals", post.id, { content: text("one"), show: true });
      assert.deepEqual(change, { value: post, announcement: { cursor } });
    });

    test("an idempotency key makes one post, one page, one picture", async (store) => {
      const key = { idempotencyKey: "key 1" };
      const pages = [
        await store.createPage({ channelId: "finals", title: "The finals" }, key),
        await store.createPage({ channelId: "finals", title: "The finals" }, key),
      ];
      assert.deepEqual(pages[0]!.value, pages[1]!.value);
      const first = await store.createPost("finals", { content: text("one") }, key);
      const again = await store.createPost("finals", { content: text("one") }, key);
      assert.deepEqual(again.value, first.value);
      assert.ok(!("renders" in again.announcement));
      await assert.rejects(store.createPost("finals", { content: text("two") }, key), { code: "key_reused" });
      assert.equal((await store.listPosts("finals")).items.length, 1);
      const picture = { type: "image/png", width: 1, height: 1 } as const;
      const bytes = Buffer.from("bytes");
      assert.deepEqual(await store.addImage(picture, bytes, key), await store.addImage(picture, bytes, key));
      await store.createPage({ channelId: "other", title: "Other" });
      await store.createPost("other", { content: text("two") }, key);
    });

    test("a post may bring its id and time; ids are taken once", async (store) => {
      await page(store);
      for (const id of ["__proto__", "10", "9"]) {
        const { value } = await store.createPost("finals", { id, content: text(id), created: 1_000 });
        assert.equal(value.id, id);
        assert.equal(value.created, 1_000);
        assert.deepEqual(await store.getPost("finals", id), value);
      }
      await assert.rejects(store.createPost("finals", { id: "9", content: text("x") }), { code: "conflict" });
      await assert.rejects(store.createPost("finals", { id: "..", content: text("x") }), { code: "invalid" });
      const { posts } = await store.viewPage("finals");
      assert.deepEqual(
        posts.map(({ id }) => id),
        ["9", "10", "__proto__"],
      );
    });

    test("keeps what was written as it was written, whatever the characters", async (store) => {
      await page(store);
      const content = text("a\0b \u2028 💥 '\"\\");
      const { value } = await store.createPost("finals", { content });
      assert.deepEqual((await store.getPost("finals", value.id)).content, content);
      assert.match((await store.viewPage("finals")).posts[0]!.content, /a\ufffdb/);
    });

    test("a page made anew knows nothing of the old one, and deceives nobody who does", async (store) => {
      await page(store);
      await store.createPost("finals", { content: text("one") });
      const { cursor: old } = await store.getPage("finals");
      const deleted = await store.deletePage("finals");
      assert.deepEqual(await store.since("finals", old), { reset: deleted.announcement.cursor });
      await page(store);
      const { value } = await store.createPost("finals", { content: text("new") });
      const { cursor } = await store.getPage("finals");
      assert.deepEqual(await store.since("finals", old), { reset: cursor });
      assert.deepEqual(
        (await store.viewPage("finals")).posts.map(({ id }) => id),
        [value.id],
      );
    });

    test("nobody appends to a page past the store", async (store) => {
      await page(store);
      const update = draftUpdate([{ id: "ghost", show: true, content: "x" }]);
      await assert.rejects(store.append("finals", update), { code: "conflict" });
      assert.deepEqual((await store.viewPage("finals")).posts, []);
    });

    test("a page's keys go with it", async (store) => {
      const key = { idempotencyKey: "key 1" };
      await store.createPage({ channelId: "finals", title: "The finals" }, key);
      await store.createPost("finals", { content: text("one") }, key);
      await store.deletePage("finals");
      await store.createPage({ channelId: "finals", title: "The finals" }, key);
      assert.deepEqual(await store.hasPages(["finals"]), [true]);
      const { value } = await store.createPost("finals", { content: text("one") }, key);
      assert.deepEqual(await store.getPost("finals", value.id), value);
    });

    test("counts the posts that are shown", async (store) => {
      await page(store);
      const count = async () => (await store.getPage("finals")).posts;
      const { value: one } = await store.createPost("finals", { content: text("one") });
      const { value: two } = await store.createPost("finals", { content: text("two"), show: false });
      assert.equal(await count(), 1);
      await store.updatePost("finals", two.id, { show: true });
      await store.updatePost("finals", two.id, { content: text("two again") });
      assert.equal(await count(), 2);
      await store.updatePost("finals", one.id, { show: false });
      await store.deletePost("finals", one.id);
      assert.equal(await count(), 1);
      await store.deletePost("finals", two.id);
      assert.equal(await count(), 0);
    });

    test("a channel that had another history becomes a page with none", async (store) => {
      const { cursor: old } = await store.append(
        "finals",
        draftUpdate([{ id: "a", show: true, content: "A" }]),
      );
      const { value } = await store.createPage({ channelId: "finals", title: "The finals" });
      assert.deepEqual((await store.viewPage("finals")).posts, []);
      assert.deepEqual(await store.since("finals", old), { reset: value.cursor });
    });

    test("keeps pictures and secrets", async (store) => {
      const bytes = Buffer.from([0, 1, 2, 255]);
      const image = await store.addImage({ type: "image/webp", width: 3, height: 2 }, bytes);
      const found = await store.readImage(image.id);
      assert.deepEqual([found.image, Buffer.from(found.bytes)], [image, bytes]);
      assert.deepEqual(await store.getImage(image.id), image);
      await assert.rejects(store.getImage("none"), { code: "not_found" });
      await assert.rejects(store.readImage("none"), { code: "not_found" });
      assert.deepEqual(await store.secret("token", () => "first"), { value: "first", made: true });
      assert.deepEqual(await store.secret("token", () => "second"), { value: "first", made: false });
    });

    it("outlives its process: pages, posts, places, keys", async () => {
      const { value: first, dispose } = await make();
      let store = first;
      try {
        await page(store);
        const key = { idempotencyKey: "key 1" };
        const { value: post } = await store.createPost("finals", { content: text("one") }, key);
        const before = await store.viewPage("finals");
        await store.close();
        store = await reopen(store);
        assert.deepEqual(await store.viewPage("finals"), before);
        assert.deepEqual((await store.createPost("finals", { content: text("one") }, key)).value, post);
        const { value: next } = await store.createPost("finals", { content: text("two") });
        assert.equal(next.at, post.at + 1);
        const answer = await store.since("finals", before.cursor);
        assert.ok("entry" in answer);
        assert.deepEqual([...answer.entry.renders.keys()], [next.id]);
        assert.notEqual(parseCursor(answer.entry.cursor)!.epoch, parseCursor(before.cursor)!.epoch);
      } finally {
        await store.close();
        await dispose?.();
      }
    });

    test("50 writers at once: every post there once, places and numbers without a gap", async (store) => {
      await page(store);
      const { cursor: start } = await store.getPage("finals");
      await Promise.all(
        Array.from({ length: 50 }, (_, n) => store.createPost("finals", { content: text(`post ${n}`) })),
      );
      const { posts, cursor } = await store.viewPage("finals");
      assert.equal(new Set(posts.map(({ id }) => id)).size, 50);
      assert.equal(parseCursor(cursor)!.seq, parseCursor(start)!.seq + 50);
    });

    test("after close() it rejects with closed", async (store) => {
      await store.close();
      await assert.rejects(store.listPages(), { code: "closed" });
      await assert.rejects(page(store), { code: "closed" });
    });
  });
}

// --- words of the tests ----------------------------------------------------------------------------------

const text = (value: string): Block[] => [{ type: "text", value }];

const page = (store: PageStore) => store.createPage({ channelId: "finals", title: "The finals" });

function rendered({ announcement }: Change<unknown>, id: string) {
  assert.ok("renders" in announcement, "the change is an update");
  return announcement.renders.get(id)!;
}

async function all<T>(
  list: (options: { after?: string }) => Promise<{ items: readonly T[]; next: string | null }>,
): Promise<T[]> {
  const items: T[] = [];
  let after: string | null | undefined;
  do {
    const part = await list(after ? { after } : {});
    items.push(...part.items);
    after = part.next;
  } while (after);
  return items;
}
