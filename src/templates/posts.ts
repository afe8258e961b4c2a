import { html, raw } from "../html.ts";
import type { PageView } from "../pages/store.ts";
import { hiddenShell } from "../protocol.ts";

/**
 * The list of a page's posts as the browser client expects it (the end of PROTOCOL.md): newest first, with the
 * cursor that says how much of the page's history they hold.
 *
 * @example
 * livePosts(await store.viewPage("finals"));
 * // <div id="live-posts" data-channel-id="finals" data-cursor="k3Zq.17">…</div>
 */
export function livePosts({ page, cursor, posts }: PageView): string {
  const wrappers = posts.map(({ id, show, content, at }) => {
    const hidden = show ? "" : raw(" hidden");
    return html`<div class="live-post-wrapper" data-at="${at}"${hidden}>${raw(show ? content : hiddenShell(id))}</div>\n`;
  });
  return String(
    html`<div id="live-posts" data-channel-id="${page.channelId}" data-cursor="${cursor}">\n${wrappers}</div>`,
  );
}
