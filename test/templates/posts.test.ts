import { expect, test } from "vitest";
import { livePosts } from "../../src/templates/posts.ts";
import { view } from "./view.ts";

test("the list of posts is the one that PROTOCOL.md shows", () => {
  expect(livePosts(view)).toBe(`<div id="live-posts" data-channel-id="été 1/2" data-cursor="e.7">
<div class="live-post-wrapper" data-at="12"><article class="live-post" data-post-id="b">Goal!</article></div>
<div class="live-post-wrapper" data-at="3" hidden><div class="live-post" data-post-id="a&#34;"></div></div>
</div>`);
});
