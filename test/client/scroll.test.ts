import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { atCursor, bundle, html, inState, openTab, type Peer, render, type Site, startSite } from "./site.ts";

let browser: Browser;
let site: Site;
let page: Page;
let closeTab: () => Promise<void>;

beforeAll(async () => {
  browser = await launchBrowser();
  site = await startSite(await bundle());
});
afterAll(async () => {
  await browser.close();
  await site.close();
});
afterEach(() => closeTab());

const POSTS = Array.from({ length: 40 }, (_, i) => ({ id: `p${40 - i}`, at: 40 - i }));

async function open(style: string): Promise<Peer> {
  site.page = () =>
    html(POSTS, {
      cursor: "e.1",
      head: `<style>body { margin: 0 } .live-post { display: block; height: 100.3px } ${style}</style>`,
      before: "<header style='height: 200px'>a header</header>",
    });
  ({ page, close: closeTab } = await openTab(browser));
  await page.setViewportSize({ width: 400, height: 500 });
  await page.goto(`http://${site.host}/`);
  const peer = await site.peer();
  await inState(page, "live");
  return peer;
}

/** Where a post's top is on the screen, once all that follows a change has been laid out. */
function topOf(id: string): Promise<number> {
  return page.evaluate(async (wanted) => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return document.querySelector(`[data-post-id="${wanted}"]`)!.getBoundingClientRect().top;
  }, id);
}

async function scrollTo(scroller: string, top: number): Promise<void> {
  await page.evaluate(
    ([selector, position]) =>
      document.querySelector(selector)!.scrollTo({ top: position, behavior: "instant" }),
    [scroller, top] as const,
  );
}

/** So that nothing but the client keeps the reader's place. */
const ALONE = "html { overflow-anchor: none }";
const BOX = "#live-posts { height: 450px; overflow-y: auto }";

describe.each([
  { name: "the window", style: "", scroller: "html" },
  { name: "the window, smooth", style: "html { scroll-behavior: smooth }", scroller: "html" },
  {
    name: "the window, without the browser's anchoring",
    style: ALONE,
    scroller: "html",
  },
  { name: "the list", style: BOX, scroller: "#live-posts" },
  {
    name: "the list, without the browser's anchoring",
    style: `${BOX} * { overflow-anchor: none }`,
    scroller: "#live-posts",
  },
])("when the reader scrolls $name", ({ style, scroller }) => {
  test("what happens above does not move what they read, however often", async () => {
    const peer = await open(style);
    await scrollTo(scroller, 1500);
    const before = await topOf("p25");
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(500);
    for (let seq = 2; seq < 60; seq++) {
      peer.send({ renders: { [`n${seq}`]: render(`n${seq}`, 100 + seq) }, cursor: `e.${seq}` });
    }
    await atCursor(page, "e.59");
    expect(Math.abs((await topOf("p25")) - before)).toBeLessThan(1);
    peer.send({ removals: ["p40", "n7"], renders: { p39: render("p39", 39, "", false) }, cursor: "e.60" });
    await atCursor(page, "e.60");
    expect(Math.abs((await topOf("p25")) - before)).toBeLessThan(1);
  });
});

test("at the top of the list a new post pushes the others down, where it is seen", async () => {
  const peer = await open("");
  await scrollTo("html", 150);
  peer.send({ renders: { n: render("n", 50) }, cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(await topOf("n")).toBeCloseTo(50, 0);
  expect(await topOf("p40")).toBeCloseTo(150.3, 0);
});

test("when the post they read is removed, the next one stays where it is", async () => {
  const peer = await open(ALONE);
  await scrollTo("html", 1500);
  const [gone, next] = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>(".live-post")]
      .filter((element) => element.getBoundingClientRect().bottom > 0)
      .map((element) => element.dataset.postId!),
  );
  const before = await topOf(next!);
  peer.send({ renders: { n: render("n", 50) }, removals: [gone], cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(Math.abs((await topOf(next!)) - before)).toBeLessThan(1);
});

test("it holds after the reader scrolled up past hidden posts, and down again", async () => {
  const peer = await open(ALONE);
  const hidden = Object.fromEntries([20, 21, 22].map((n) => [`p${n}`, render(`p${n}`, n, "", false)]));
  await scrollTo("html", 3000);
  peer.send({ renders: hidden, cursor: "e.2" });
  await atCursor(page, "e.2");
  let seq = 2;
  for (const top of [700, 3200, 1900]) {
    await scrollTo("html", top);
    const first = await page.evaluate(
      () =>
        [...document.querySelectorAll<HTMLElement>(".live-post")].find(
          (element) => element.getBoundingClientRect().bottom > 0,
        )!.dataset.postId!,
    );
    const before = await topOf(first);
    seq++;
    // Posts below grow as well: that alone must not count.
    peer.send({
      renders: { [`n${seq}`]: render(`n${seq}`, 100 + seq), p1: render("p1", 1, `<br>${seq}`) },
      cursor: `e.${seq}`,
    });
    await atCursor(page, `e.${seq}`);
    expect(Math.abs((await topOf(first)) - before)).toBeLessThan(1);
  }
});

test("the browser's own anchoring is left on for what loads late", async () => {
  const peer = await open("");
  await scrollTo("html", 1500);
  peer.send({ renders: { n: render("n", 50) }, cursor: "e.2" });
  await atCursor(page, "e.2");
  const before = await topOf("p25");
  await page.evaluate(() => {
    document.querySelector<HTMLElement>('[data-post-id="n"]')!.style.height = "400px";
  });
  expect(Math.abs((await topOf("p25")) - before)).toBeLessThan(1);
});
