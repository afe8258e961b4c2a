import { expect, it } from "vitest";
import type { Post } from "../../src/pages/model.ts";
import {
  newPost,
  newPostId,
  pagesAfter,
  pagesPart,
  patchPost,
  postsAfter,
  postsPart,
  postUpdate,
  refusals,
  toPost,
} from "../../src/pages/records.ts";

const content = [{ type: "text", value: "Goal!" }] as const;
const post: Post = { ...newPost("7", { content, created: 1_000 }), at: 3, version: "v1" };

it("reads a post's row of either database", () => {
  const row = { ...post, content: JSON.stringify(content) };
  expect(toPost(row)).toEqual(post);
  expect(toPost({ ...row, show: 1, at: "3", created: "1000", modified: "1000" })).toEqual(post);
});

it("gives a post an id of its own, or the one that it brings", () => {
  expect(newPostId({ content })).toMatch(/^[\da-f-]{36}$/);
  expect(newPostId({ content, id: "é" })).toBe("é");
  expect(() => newPostId({ content, id: "a/b" })).toThrow(expect.objectContaining({ field: "id" }));
});

it("a patch edits, hides, or does nothing", () => {
  expect(patchPost(post, { content: [...content], show: true })).toBe(null);
  expect(patchPost(post, { show: false })).toEqual({
    ...newPost("7", { content, created: 1_000 }),
    show: false,
  });
  const edited = patchPost(post, { content: [] })!;
  expect(edited.modified).toBeGreaterThan(1_000);
  expect(edited.content).toEqual([]);
  const future = patchPost({ ...post, created: 2 ** 50, modified: 2 ** 50 }, { content: [] })!;
  expect(future.modified).toBe(2 ** 50 + 1);
});

it("a hidden post is an update without its text", () => {
  expect(postUpdate(post, {}).renders.get("7")!.content).toContain("Goal!");
  expect(postUpdate({ ...post, show: false }, {}).renders.get("7")).toEqual({ show: false, content: "" });
});

it("a part names where the next begins, and is asked for by that name", () => {
  const posts = [3, 2, 1].map((at) => ({ ...post, at }));
  expect(postsPart(posts, { limit: 2 })).toEqual({ items: posts.slice(0, 2), next: "2" });
  expect(postsPart(posts, { limit: 3 })).toEqual({ items: posts, next: null });
  expect(postsAfter({ after: "2" })).toBe(2);
  const page = { channelId: "a.b", title: "", created: 5, modified: 5, cursor: "e.1", posts: 0 };
  const { next } = pagesPart([page, page], { limit: 1 });
  expect(pagesAfter({ after: next! })).toEqual({ created: 5, name: "a.b" });
  for (const after of ["", "-1", "x", "1e3"]) {
    expect(() => postsAfter({ after })).toThrow(expect.objectContaining({ code: "invalid", field: "after" }));
    expect(() => pagesAfter({ after })).toThrow(expect.objectContaining({ code: "invalid", field: "after" }));
  }
});

it("only a version that the condition names may be changed", () => {
  const { checkVersion } = refusals("test");
  checkVersion(post);
  checkVersion(post, { versions: ["v0", "v1"] });
  for (const versions of [[], ["v0"]]) {
    expect(() => checkVersion(post, { versions })).toThrow(expect.objectContaining({ code: "stale" }));
  }
});
