import type { PageView } from "../../src/pages/store.ts";

/** A page with a shown post and a hidden one, and a title to be escaped. */
export const view: PageView = {
  page: {
    channelId: "été 1/2",
    title: "A <final> & more",
    created: 0,
    modified: 60_000,
    cursor: "e.7",
    posts: 1,
  },
  cursor: "e.7",
  posts: [
    { id: "b", show: true, at: 12, content: '<article class="live-post" data-post-id="b">Goal!</article>' },
    { id: 'a"', show: false, at: 3, content: "secret" },
  ],
};
