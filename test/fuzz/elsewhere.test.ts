import fc from "fast-check";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { bundle } from "../app/reader-site.ts";
import { launchBrowser } from "../support/browser.ts";
import { type OwnSite, startOwnSite } from "../support/own-site.ts";
import { fuzz } from "./fuzz.ts";
import { htmls } from "./html.ts";

// Posts of a page of another origin, in <live-page>: whatever they are made of, in a real browser nothing of them runs, and
// nothing reaches out of its place.

let browser: Browser;
let site: OwnSite;
let other: OwnSite;
beforeAll(async () => {
  [browser, site, other] = await Promise.all([launchBrowser(), startOwnSite(), startOwnSite()]);
  site.files.set("/live-page.js", await bundle("client/live-page.ts", "iife"));
});
afterAll(async () => {
  await browser.close();
  await Promise.all([site.close(), other.close()]);
});

const ALLOWED =
  /^(?:article|section|header|footer|div|p|br|h[1-6]|hr|blockquote|pre|[uo]l|li|d[ltd]|a|span|time|strong|b|em|[ius]|q|cite|mark|small|abbr|kbd|ins|del|su[bp]|code|fig(?:ure|caption)|picture|img|source|iframe|details|summary|table|caption|t(?:head|body|foot|[rhd]))$/;
const ADDRESS = /^(?:https?|mailto|tel):/;

/** Each element, as it ended up on the page. */
interface Shown {
  readonly name: string;
  readonly isHtml: boolean;
  readonly attributes: readonly (readonly [name: string, value: string])[];
}

describe("posts of another origin", () => {
  const posts = fc.array(fc.tuple(htmls, fc.boolean()), { minLength: 1, maxLength: 60, size: "max" });
  fuzz(
    "are harmless in the page that shows them",
    posts,
    async (all) => {
      // A page each: what is left open in one swallows all that follows.
      const elements = all.map(([html, isWhole], n) => {
        const post = isWhole ? `<article class="live-post" data-post-id="7">${html}</article>` : html;
        const list = `<div id="live-posts" data-channel-id="x" data-cursor="e.1"><div class="live-post-wrapper" data-at="1">${post}</div></div>`;
        other.files.set(`/live/${n}/`, (response) => {
          response
            .setHeader("Access-Control-Allow-Origin", "*")
            // With text before it, no <frameset> of a post takes the place of the whole body.
            .end(`<!doctype html><title>x</title>A page. ${list}`);
        });
        return `<live-page src="${other.url}/live/${n}/"></live-page>`;
      });
      site.files.set("/", `<!doctype html>${elements.join("")}<script src="/live-page.js"></script>`);
      const tab = await browser.newPage();
      const dialogs: string[] = [];
      tab.on("dialog", (dialog) => {
        dialogs.push(dialog.message());
        void dialog.dismiss();
      });
      try {
        await tab.goto(site.url);
        await expect
          .poll(() => tab.locator("live-page > [role=feed]").count(), { timeout: 20_000 })
          .toBe(all.length);
        const shown: Shown[] = await tab.evaluate(() =>
          [...document.querySelectorAll("live-page .live-post-wrapper *")].map((element) => ({
            name: element.localName,
            isHtml: element.namespaceURI === "http://www.w3.org/1999/xhtml",
            attributes: [...element.attributes].map(({ name, value }) => [name, value] as const),
          })),
        );
        expect(shown.filter(({ name, isHtml }) => !isHtml || !ALLOWED.test(name))).toEqual([]);
        for (const { name, attributes } of shown) {
          for (const [attribute, value] of attributes) {
            expect(attribute).not.toMatch(
              /^(?:on|style$|id$|name$|srcdoc$|formaction$|is$|xlink:|ping$|target$)/,
            );
            if (attribute.startsWith("data-")) expect(attribute).toBe("data-post-id");
            if (attribute === "href" || attribute === "src") expect(value).toMatch(ADDRESS);
          }
          if (name === "iframe") {
            const frame = new Map(attributes);
            expect(frame.has("sandbox")).toBe(true);
            expect(frame.get("src")).not.toMatch(new RegExp(`^${site.url}/`));
          }
        }
        // What the page itself is made of is as it was: nothing has got out of its place.
        const own = await tab.evaluate(() => [...document.body.children].map(({ localName }) => localName));
        expect(own).toEqual([...all.map(() => "live-page"), "script"]);
        expect(dialogs).toEqual([]);
      } finally {
        await tab.close();
      }
    },
    0.01,
  );
});
