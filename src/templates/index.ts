/** HTML for live pages: in a site of your own ({@link livePosts}, {@link publisherTags}), or whole documents. */
export { escapeHtml, Html, type HtmlValue, html, raw, scriptString } from "../html.ts";
export { indexPage, notFoundPage, readerPage, type SiteSettings } from "./pages.ts";
export { livePosts } from "./posts.ts";
export { type PublisherSettings, publisherTags } from "./publisher.ts";
