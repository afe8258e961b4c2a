import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import {
  atCursor,
  bundle,
  html,
  inState,
  openTab,
  type Peer,
  post,
  render,
  type Site,
  type SitePost,
  shown,
  startSite,
} from "./site.ts";

let browser: Browser;
let site: Site;
let page: Page;
let errors: string[];
let closeTab: () => Promise<void>;

beforeAll(async () => {
  browser = await launchBrowser();
  site = await startSite(await bundle());
});
afterAll(async () => {
  await browser.close();
  await site.close();
});
beforeEach(async () => {
  ({ page, errors, close: closeTab } = await openTab(browser));
});
afterEach(async () => {
  await closeTab();
  expect(errors).toEqual([]);
});

const SCRIPT = "updates = []; live = tidings.connect({ onUpdate: (update) => updates.push(update) })";

async function open(posts: readonly SitePost[], cursor: string | null = "e.1"): Promise<Peer> {
  site.page = () => html(posts, { script: SCRIPT, ...(cursor === null ? {} : { cursor }) });
  await page.goto(`http://${site.host}/`);
  const peer = await site.peer();
  await inState(page, "live");
  return peer;
}

/** The ids in what `onUpdate` was called with. */
function updates(): Promise<{ added: string[]; changed: string[]; removed: string[] }[]> {
  return page.evaluate(() => {
    type Update = { added: HTMLElement[]; changed: HTMLElement[]; removed: string[] };
    const ids = (elements: HTMLElement[]) => elements.map((element) => element.dataset.postId!);
    return (window as unknown as { updates: Update[] }).updates.map(({ added, changed, removed }) => ({
      added: ids(added),
      changed: ids(changed),
      removed,
    }));
  });
}

test("a new post is put on top, an edit in its place, a removal away", async () => {
  const peer = await open([
    { id: "b", at: 2 },
    { id: "a", at: 1 },
  ]);
  peer.send({ renders: { c: render("c", 3) }, cursor: "e.2" });
  peer.send({ renders: { a: render("a", 1, "a, edited") }, cursor: "e.3" });
  peer.send({ removals: ["b", "never seen"], cursor: "e.4" });
  await atCursor(page, "e.4");
  expect(await shown(page)).toEqual(["c", "a, edited"]);
  expect(await updates()).toEqual([
    { added: ["c"], changed: [], removed: [] },
    { added: [], changed: ["a"], removed: [] },
    { added: [], changed: [], removed: ["b"] },
  ]);
  expect(await page.locator(".live-post-wrapper").first().getAttribute("data-at")).toBe("3");
});

test("posts are ordered by `at`, whatever the order of keys", async () => {
  const peer = await open([{ id: "x", at: 5 }]);
  // "2" and "10" come first from JSON.parse, and "2" before "10".
  peer.send({
    renders: { z: render("z", 3), 10: render("10", 7), 2: render("2", 9), y: render("y", 8) },
    cursor: "e.2",
  });
  await atCursor(page, "e.2");
  expect(await shown(page)).toEqual(["2", "y", "10", "x", "z"]);
});

test("a post moves when its place changed", async () => {
  const peer = await open([
    { id: "c", at: 3 },
    { id: "b", at: 2 },
    { id: "a", at: 1 },
  ]);
  peer.send({ renders: { a: render("a", 4) }, cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(await shown(page)).toEqual(["a", "c", "b"]);
  peer.send({ renders: { c: render("c", 0.5) }, cursor: "e.3" });
  await atCursor(page, "e.3");
  expect(await shown(page)).toEqual(["a", "b", "c"]);
});

test("any id that the protocol allows is an id like any other", async () => {
  const ids = ["__proto__", "constructor", "7", `"]'\\ &quot;<b>`, "-100123", "été", "a b"];
  const peer = await open([{ id: "__proto__", at: 1, html: post("__proto__", "from the server") }]);
  const frame = (seq: number, text: string) =>
    `{"renders":{${ids.map((id, i) => `${JSON.stringify(id)}:${JSON.stringify(render(id, i + 1, `${text}${i}`))}`)}},"removals":[],"cursor":"e.${seq}"}`;
  peer.send(frame(2, "old"));
  peer.send(frame(3, "new"));
  await atCursor(page, "e.3");
  expect(await shown(page)).toEqual(["new6", "new5", "new4", "new3", "new2", "new1", "new0"]);
  peer.send({ removals: ids.slice(1), cursor: "e.4" });
  await atCursor(page, "e.4");
  expect(await shown(page)).toEqual(["new0"]);
});

test("a hidden post leaves no text, and comes back in its old place", async () => {
  const peer = await open([
    { id: "c", at: 3 },
    { id: "b", at: 2 },
    { id: "a", at: 1 },
  ]);
  peer.send({ renders: { b: render("b", 2, "", false) }, cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(await shown(page)).toEqual(["c", "a"]);
  expect(await page.locator("#live-posts").textContent()).not.toContain("b");
  expect(await page.locator('[data-post-id="b"]').isVisible()).toBe(false);
  peer.send({ renders: { d: render("d", 4), b: render("b", 2, "b again") }, cursor: "e.3" });
  await atCursor(page, "e.3");
  expect(await shown(page)).toEqual(["d", "c", "b again", "a"]);
  expect(await updates()).toEqual([
    { added: [], changed: [], removed: ["b"] },
    { added: ["b", "d"], changed: [], removed: [] },
  ]);
});

test("a hidden post that is removed, or edited while hidden, is no news", async () => {
  const peer = await open([{ id: "a", at: 1, show: false, html: post("a", "") }]);
  peer.send({ renders: { a: render("a", 1, "", false) }, cursor: "e.2" });
  peer.send({ removals: ["a"], cursor: "e.3" });
  await atCursor(page, "e.3");
  expect(await updates()).toEqual([]);
  expect(await page.locator(".live-post-wrapper").count()).toBe(0);
});

test("only what changed is made anew: a neighbour's focus, and a post that came again as it was, stay", async () => {
  const box = `<article class="live-post" data-post-id="box"><input value="typed"></article>`;
  const peer = await open([
    { id: "b", at: 3 },
    { id: "box", at: 2, html: box },
    { id: "a", at: 1 },
  ]);
  await page.evaluate(() => {
    document.querySelector("input")!.focus();
    Object.assign(window, { kept: [...document.querySelectorAll(".live-post")] });
  });
  peer.send({
    renders: {
      a: render("a", 1, "edited"),
      box: { show: true, content: `\n${box}\n`, at: 2 },
      b: render("b", 3),
    },
    cursor: "e.2",
  });
  await atCursor(page, "e.2");
  const [b, isBoxKept, isAKept, isFocused] = await page.evaluate(() => {
    const { kept } = window as unknown as { kept: Element[] };
    return [
      ...[...document.querySelectorAll(".live-post")].map((element, i) => element === kept[i]),
      document.activeElement?.tagName === "INPUT",
    ];
  });
  expect({ b, isBoxKept, isAKept, isFocused }).toEqual({
    b: true,
    isBoxKept: true,
    isAKept: false,
    isFocused: true,
  });
  expect(await updates()).toEqual([{ added: [], changed: ["a"], removed: [] }]);
});

test("what the page's own scripts did to a post does not make it another one", async () => {
  const peer = await open([{ id: "a", at: 1, html: post("a", "<time>12:00 UTC</time>") }]);
  await page.evaluate(() => {
    document.querySelector("time")!.textContent = "13:00";
  });
  peer.send({ renders: { a: render("a", 1, "<time>12:00 UTC</time>") }, cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(await shown(page)).toEqual(["13:00"]);
  peer.send({ renders: { a: render("a", 1, "<time>12:01 UTC</time>") }, cursor: "e.3" });
  await atCursor(page, "e.3");
  expect(await shown(page)).toEqual(["12:01 UTC"]);
});

test("content without the post's own element is put into one, and can be found again", async () => {
  const peer = await open([]);
  const contents = {
    text: "just text",
    two: "<p>one</p><p>two</p>",
    other: post("someone else", "wrong id"),
    plain: `<div data-post-id="plain">no class</div>`,
    empty: "",
  };
  const renders = Object.fromEntries(
    Object.entries(contents).map(([id, content], at) => [id, { show: true, content, at }]),
  );
  peer.send({ renders, cursor: "e.2" });
  await atCursor(page, "e.2");
  const found = await page.evaluate(() =>
    [...document.querySelectorAll("#live-posts > .live-post-wrapper > .live-post")].map((element) => [
      (element as HTMLElement).dataset.postId,
      element.innerHTML,
    ]),
  );
  expect(Object.fromEntries(found)).toEqual(contents);
  peer.send({ removals: Object.keys(contents), cursor: "e.3" });
  await atCursor(page, "e.3");
  expect(await page.locator(".live-post").count()).toBe(0);
});

test("a script in a post does not run", async () => {
  const peer = await open([]);
  peer.send({
    renders: { a: render("a", 1, "<script>window.ran = true</script>text") },
    cursor: "e.2",
  });
  await atCursor(page, "e.2");
  expect(await page.evaluate(() => "ran" in window)).toBe(false);
  expect(await page.locator(".live-post script").count()).toBe(1);
});

test("posts without a place are older than those with one, and keep theirs when edited", async () => {
  const peer = await open([{ id: "old 2" }, { id: "old 1" }], null);
  peer.send({
    renders: { "old 1": render("old 1", 9, "old 1, edited"), new: render("new", 8) },
    cursor: "e.1",
  });
  peer.send({ renders: { newer: render("newer", 10) }, cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(await shown(page)).toEqual(["newer", "new", "old 2", "old 1, edited"]);
});

test("renders without a place do as Wagtail Live: new ones on top, known ones where they are", async () => {
  const peer = await open([{ id: "a" }], null);
  peer.send({ renders: { b: render("b", undefined), c: render("c", undefined) } });
  peer.send({ renders: { a: render("a", undefined, "a, edited"), b: render("b", undefined, "b, edited") } });
  peer.send({ renders: { d: render("d", undefined) } });
  await page.waitForSelector('[data-post-id="d"]');
  expect(await shown(page)).toEqual(["d", "c", "b, edited", "a, edited"]);
});

test("what a site puts between the posts stays, and does not count", async () => {
  const peer = await open([
    { id: "b", at: 2 },
    { id: "a", at: 1 },
  ]);
  await page.evaluate(() => {
    const list = document.getElementById("live-posts")!;
    list.insertAdjacentHTML("afterbegin", '<p id="ad1">ad</p>');
    list.children[1]!.insertAdjacentHTML("afterend", '<p id="ad2">ad</p>');
  });
  peer.send({ renders: { c: render("c", 3), ab: render("ab", 1.5) }, removals: ["b"], cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(await shown(page)).toEqual(["c", "ab", "a"]);
  expect(await page.locator("#live-posts > p").count()).toBe(2);
});

test("a wrapper that another script took away does not stop the page", async () => {
  const peer = await open([
    { id: "b", at: 2 },
    { id: "a", at: 1 },
  ]);
  await page.evaluate(() => {
    const [b, a] = document.querySelectorAll(".live-post-wrapper");
    b!.remove();
    document.body.append(a!);
  });
  peer.send({ renders: { a: render("a", 1, "a, edited") }, removals: ["b"], cursor: "e.2" });
  await atCursor(page, "e.2");
  expect(await shown(page)).toEqual(["a, edited"]);
});

test("on a page of 5,000 posts a change takes a few steps, wherever the reader is", async () => {
  const posts = Array.from({ length: 5000 }, (_, i) => ({ id: `p${5000 - i}`, at: 5000 - i }));
  const peer = await open(posts);
  const frames = 50;
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight / 2));
  await page.evaluate(() => {
    // Counts the elements that the client touches: steps do not depend on how busy the machine is.
    const counts = { steps: 0 };
    Object.assign(window, { counts });
    for (const [prototype, name] of [
      [Element.prototype, "nextElementSibling"],
      [Element.prototype, "previousElementSibling"],
    ] as const) {
      const { get } = Object.getOwnPropertyDescriptor(prototype, name)!;
      Object.defineProperty(prototype, name, {
        get() {
          counts.steps++;
          return get!.call(this);
        },
      });
    }
  });
  const send = (seq: number) =>
    peer.send({
      renders: { p1: render("p1", 1, `edit ${seq}`), [`n${seq}`]: render(`n${seq}`, 5000 + seq) },
      cursor: `e.${seq}`,
    });
  send(2);
  await atCursor(page, "e.2");
  // The first search for what the reader looks at walks there; the next ones start from it.
  await page.evaluate(() => {
    (window as unknown as { counts: { steps: number } }).counts.steps = 0;
  });
  for (let seq = 3; seq < 3 + frames; seq++) send(seq);
  await atCursor(page, `e.${2 + frames}`);
  const steps = await page.evaluate(() => (window as unknown as { counts: { steps: number } }).counts.steps);
  expect(steps / frames).toBeLessThan(200);
  expect((await shown(page)).length).toBe(5000 + frames + 1);
});
