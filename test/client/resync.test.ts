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
  setDice,
  shown,
  startSite,
  stateOf,
  stopClock,
} from "./site.ts";

let browser: Browser;
let site: Site;
let page: Page;
let errors: string[];
let closeTab: () => Promise<void>;

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  site = await startSite(await bundle());
  ({ page, errors, close: closeTab } = await openTab(browser));
});
afterEach(async () => {
  await closeTab();
  await site.close();
  expect(errors).toEqual([]);
});

const RESET = { cursor: "e.10", reset: true };
const STALE = html([{ id: "a", at: 1 }], { cursor: "e.1" });
const FRESH = html(
  [
    { id: "c", at: 3 },
    { id: "a", at: 1 },
  ],
  { cursor: "e.10" },
);

/** Opens the stale page, with the clock in the test's hands. */
async function open(path = "/", stale: string = STALE): Promise<Peer> {
  site.page = () => stale;
  await page.clock.install();
  await page.goto(`http://${site.host}${path}`);
  const peer = await site.peer();
  await inState(page, "live");
  return peer;
}

/** Resolves with the next request for the page's HTML, which stays open until it is given an answer. */
function nextFetch(): Promise<{ url: URL; answer(body: string | number): void }> {
  return new Promise((resolve) => {
    site.page = (url) => new Promise((answer) => resolve({ url, answer }));
  });
}

test("reads the page's own HTML and makes its posts equal, by id", async () => {
  const stale = html(
    [
      { id: "edited", at: 4 },
      { id: "same", at: 3 },
      { id: "moved", at: 2 },
      { id: "gone", at: 1 },
    ],
    {
      cursor: "e.1",
      script: "updates = []; tidings.connect({ onUpdate: (update) => updates.push(update) })",
    },
  );
  const peer = await open("/?lang=fr#here", stale);
  await page.evaluate(() => Object.assign(window, { same: document.querySelector('[data-post-id="same"]') }));
  const fetched = nextFetch();
  peer.send({ cursor: "x.7", reset: true });
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  const { url, answer } = await fetched;
  expect(url.search).toBe("?lang=fr&at=x.7");
  answer(
    html(
      [
        { id: "moved", at: 9 },
        { id: `new "1"`, at: 8 },
        { id: "7", at: 5 },
        { id: "edited", at: 4, html: post("edited", "edited, now") },
        { id: "same", at: 3 },
        { id: "new 2", at: 2.5 },
        { id: "hidden", at: 2, show: false, html: post("hidden", "") },
      ],
      { cursor: "x.7" },
    ),
  );
  await atCursor(page, "x.7");
  await inState(page, "live");
  expect(await shown(page)).toEqual(["moved", `new "1"`, "7", "edited, now", "same", "new 2"]);
  const places = await page
    .locator(".live-post-wrapper")
    .evaluateAll((wrappers) => wrappers.map((wrapper) => (wrapper as HTMLElement).dataset.at));
  expect(places).toEqual(["9", "8", "5", "4", "3", "2.5", "2"]);
  const [isKept, removed] = await page.evaluate(() => {
    const { same, updates } = window as unknown as { same: Element; updates: { removed: string[] }[] };
    return [same.isConnected, updates.map((update) => update.removed)];
  });
  expect(isKept).toBe(true);
  expect(removed).toEqual([["gone"]]);
  expect(site.waiting).toBe(0);
});

test("waits a random time of up to 2 s before it asks", async () => {
  const peer = await open();
  const fetched = nextFetch();
  await stopClock(page);
  peer.send(RESET);
  await inState(page, "connecting");
  await page.clock.runFor(990);
  expect(site.resyncs).toEqual([]);
  await page.clock.runFor(20);
  const { answer } = await fetched;
  answer(FRESH);
  await atCursor(page, "e.10");
});

test("refuses stale copies and failures, asks again with back-off, and applies what came meanwhile", async () => {
  const peer = await open();
  await setDice(page, 0);
  const answers: (string | number)[] = [
    STALE,
    500,
    "<!doctype html>please log in",
    html([], { cursor: "other.99" }),
    html([{ id: "c", at: 3 }], { cursor: "e.9" }),
    html([], { cursor: "nonsense" }),
    html([{ id: "c", at: 3 }], { cursor: "e.11" }),
  ];
  const statesSeen: (string | undefined)[] = [];
  site.page = async () => {
    statesSeen.push(await stateOf(page));
    return answers.shift()!;
  };
  peer.send(RESET);
  peer.send({ renders: { a: render("a", 1, "older than the copy") }, cursor: "e.11" });
  peer.send({ renders: { d: render("d", 4) }, cursor: "e.12" });
  await atCursor(page, "e.12");
  expect(await shown(page)).toEqual(["d", "c"]);
  expect(answers).toEqual([]);
  expect(statesSeen).toEqual(Array(7).fill("connecting"));
  await inState(page, "live");
});

test("backs off between the copies that it refuses", async () => {
  const peer = await open();
  await stopClock(page);
  await setDice(page, 0.999_999);
  await page.evaluate(() => {
    const { parseFromString } = DOMParser.prototype;
    Object.assign(window, { parsed: 0 });
    DOMParser.prototype.parseFromString = function (...args) {
      (window as unknown as { parsed: number }).parsed++;
      return parseFromString.apply(this, args);
    };
  });
  site.page = () => STALE;
  peer.send(RESET);
  await inState(page, "connecting");
  for (const [asked, wait] of [2000, 1000, 2000, 4000].entries()) {
    await page.clock.runFor(wait - 10);
    expect(site.resyncs.length).toBe(asked);
    await page.clock.runFor(20);
    // The next wait begins in the task that parses the copy.
    await page.waitForFunction(
      (count) => (window as unknown as { parsed: number }).parsed === count,
      asked + 1,
    );
  }
});

test("takes a copy of an epoch that the buffer names, and nothing older after it", async () => {
  const peer = await open();
  const fetched = nextFetch();
  peer.send(RESET);
  peer.send({ renders: { a: render("a", 1, "a, of the old epoch") }, cursor: "e.11" });
  peer.send({ renders: { a: render("a", 1, "a, of the new epoch") }, cursor: "f.12" });
  peer.send({ renders: { b: render("b", 2) }, cursor: "f.13" });
  peer.send({ renders: { c: render("c", 3) }, cursor: "f.14" });
  await inState(page, "connecting");
  await page.evaluate(() => {
    const seen: string[] = [];
    Object.assign(window, { seen });
    new MutationObserver(() => seen.push(document.getElementById("live-posts")!.textContent!.trim())).observe(
      document.getElementById("live-posts")!,
      { subtree: true, childList: true },
    );
  });
  await page.clock.runFor(2000);
  (await fetched).answer(
    html(
      [
        { id: "b", at: 2 },
        { id: "a", at: 1, html: post("a", "a, newest") },
      ],
      { cursor: "f.13" },
    ),
  );
  await atCursor(page, "f.14");
  expect(await shown(page)).toEqual(["c", "b", "a, newest"]);
  const seen = await page.evaluate(() => (window as unknown as { seen: string[] }).seen);
  expect(seen.join()).not.toContain("old epoch");
});

/** A page at `e.12`, by its HTML, on a connection that has brought a reset to what is before. */
async function openAhead() {
  const peer = await open();
  const fetched = nextFetch();
  peer.send(RESET);
  await page.clock.runFor(2000);
  (await fetched).answer(html([{ id: "a", at: 1 }], { cursor: "e.12" }));
  await atCursor(page, "e.12");
  return peer;
}

test("HTML newer than its connection, whose end was then taken back: it asks anew, and adopts nothing", async () => {
  const peer = await open();
  const fetched = nextFetch();
  peer.send(RESET);
  await page.clock.runFor(2000);
  (await fetched).answer(
    html(
      [
        { id: "lost", at: 4 },
        { id: "a", at: 1 },
      ],
      { cursor: "e.12" },
    ),
  );
  await atCursor(page, "e.12");
  // The server had told e.10 on this connection; its log then lost e.11 and e.12.
  peer.send({ renders: { b: render("b", 2) }, cursor: "f.13" });
  await peer.closed;
  await page.clock.runFor(1000);
  const next = await site.peer();
  expect(next.cursor).toBe("e.12");
  expect(await shown(page)).toEqual(["lost", "a"]);
  const again = nextFetch();
  next.send({ cursor: "f.13", reset: true });
  await page.clock.runFor(2000);
  (await again).answer(
    html(
      [
        { id: "b", at: 2 },
        { id: "a", at: 1 },
      ],
      { cursor: "f.13" },
    ),
  );
  await atCursor(page, "f.13");
  expect(await shown(page)).toEqual(["b", "a"]);
});

test("HTML newer than its connection, which then catches up: another epoch is taken as ever", async () => {
  const peer = await openAhead();
  peer.send({ renders: { a: render("a", 1, "stale") }, cursor: "e.12" });
  peer.send({ renders: { b: render("b", 2) }, cursor: "f.13" });
  await atCursor(page, "f.13");
  expect(await shown(page)).toEqual(["b", "a"]);
});

test("HTML newer than its connection, which is then reset: it joins anew with the page's own cursor", async () => {
  const peer = await openAhead();
  // Such as a cache's answer of a moment ago, to where the connection was.
  peer.send({ cursor: "e.11", reset: true });
  await peer.closed;
  await page.clock.runFor(1000);
  const next = await site.peer();
  expect(next.cursor).toBe("e.12");
  next.send({ renders: { b: render("b", 2) }, cursor: "e.13" });
  await atCursor(page, "e.13");
  expect(site.resyncs).toHaveLength(1);
});

test("HTML newer than its connection, which then says that it stays behind: it joins anew with the page's own cursor", async () => {
  const peer = await openAhead();
  // On its way to where the page is.
  peer.send({ renders: { a: render("a", 1) }, cursor: "e.11" });
  peer.send({ cursor: "e.11" });
  await peer.closed;
  await page.clock.runFor(1000);
  const next = await site.peer();
  expect(next.cursor).toBe("e.12");
  // What was there is lost: only asked with its own cursor can the server say so.
  next.send({ cursor: "f.11", reset: true });
  await expect.poll(() => page.clock.runFor(500).then(() => site.resyncs.length)).toBe(2);
});

test("takes the HTML of a site without cursors as it is, with the cursor of the reset", async () => {
  const peer = await open("/", html([{ id: "c" }, { id: "a" }]));
  site.page = () => html([{ id: "d" }, { id: "c" }, { id: "b" }]);
  peer.send(RESET);
  peer.send({ renders: { b: render("b", 5, "b, edited") }, cursor: "e.11" });
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  await atCursor(page, "e.11");
  expect(await shown(page)).toEqual(["d", "c", "b, edited"]);
});

test("leaves a page alone whose template has posts without wrappers, and warns once", async () => {
  const warnings: string[] = [];
  page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  const bare = html([]).replace("</div>", `${post("b", "b")}${post("a", "a")}</div>`);
  const peer = await open("/", bare);
  peer.send({ renders: { c: render("c", 3) }, cursor: "e.1" });
  await atCursor(page, "e.1");
  site.page = () => bare;
  for (const head of ["f.1", "g.1"]) {
    peer.send({ cursor: head, reset: true });
    await inState(page, "connecting");
    await page.clock.runFor(2000);
    await atCursor(page, head);
  }
  peer.send({ renders: { d: render("d", 4) }, cursor: "g.2" });
  await atCursor(page, "g.2");
  const texts = await page.evaluate(() =>
    [...document.querySelectorAll("#live-posts .live-post")].map(({ textContent }) => textContent),
  );
  expect(texts.toSorted()).toEqual(["a", "b", "c", "d"]);
  expect(warnings).toEqual([expect.stringContaining(".live-post-wrapper")]);
});

test("takes the places that the copy gives to posts that had none", async () => {
  const peer = await open("/", html([{ id: "b" }, { id: "a" }], { cursor: "e.1" }));
  site.page = () =>
    html(
      [
        { id: "b", at: 2 },
        { id: "a", at: 1 },
      ],
      { cursor: "e.10" },
    );
  peer.send(RESET);
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  await atCursor(page, "e.10");
  peer.send({ renders: { between: render("between", 1.5) }, cursor: "e.11" });
  await atCursor(page, "e.11");
  expect(await shown(page)).toEqual(["b", "between", "a"]);
});

test("a reset during a resync starts it anew", async () => {
  const peer = await open();
  const first = nextFetch();
  peer.send(RESET);
  peer.send({ renders: { x: render("x", 8) }, cursor: "e.11" });
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  const { answer } = await first;
  const second = nextFetch();
  const aborted = page.waitForEvent("requestfailed");
  peer.send({ cursor: "f.3", reset: true });
  await aborted;
  answer(FRESH);
  await page.clock.runFor(2000);
  const { url, answer: answerSecond } = await second;
  expect(url.searchParams.get("at")).toBe("f.3");
  answerSecond(html([{ id: "z", at: 1 }], { cursor: "f.3" }));
  await atCursor(page, "f.3");
  // What was buffered before the second reset is void.
  expect(await shown(page)).toEqual(["z"]);
});

test("a connection lost during a resync: the next one brings its own reset, and it ends well", async () => {
  const peer = await open();
  const first = nextFetch();
  peer.send(RESET);
  peer.send({ renders: { x: render("x", 8) }, cursor: "e.11" });
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  const { answer } = await first;
  const second = nextFetch();
  const aborted = page.waitForEvent("requestfailed");
  peer.socket.terminate();
  await aborted;
  answer(FRESH);
  await page.clock.runFor(500);
  const next = await site.peer();
  expect(next.cursor).toBe("e.1");
  next.send({ cursor: "e.12", reset: true });
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  (await second).answer(html([{ id: "z", at: 1 }], { cursor: "e.12" }));
  await atCursor(page, "e.12");
  expect(await shown(page)).toEqual(["z"]);
});

test("HTML that does not come: after two thousand frames at most it gives them up, and asks for another reset", async () => {
  const peer = await open();
  site.page = () => 503;
  peer.send(RESET);
  await inState(page, "connecting");
  for (let n = 11; n <= 1_010; n++) peer.send({ renders: { c: render("c", 3, `c ${n}`) }, cursor: `e.${n}` });
  for (let n = 1_011; n <= 2_011; n++) peer.send({ cursor: `e.${n}` });
  await peer.closed;
  await page.clock.runFor(1000);
  const next = await site.peer();
  expect(next.cursor).toBe("e.1");
  expect(await shown(page)).toEqual(["a"]);
  site.page = () =>
    html(
      [
        { id: "c", at: 3, html: post("c", "c 1010") },
        { id: "a", at: 1 },
      ],
      { cursor: "e.2011" },
    );
  next.send({ cursor: "e.2011", reset: true });
  await inState(page, "connecting");
  next.send({ renders: { d: render("d", 4) }, cursor: "e.2012" });
  await page.clock.runFor(2000);
  await atCursor(page, "e.2012");
  await inState(page, "live");
  expect(await shown(page)).toEqual(["d", "c 1010", "a"]);
});

test.each([404, 410])("stops when the page is gone (%i)", async (status) => {
  const peer = await open();
  site.page = () => status;
  peer.send(RESET);
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  await inState(page, "offline");
  await peer.closed;
  await page.clock.runFor(600_000);
  expect(await stateOf(page)).toBe("offline");
  expect(site.waiting).toBe(0);
  expect(await shown(page)).toEqual(["a"]);
});

test("reads the HTML from `pageUrl` when it is given", async () => {
  const script = "tidings.connect({ pageUrl: '/?fragment=1' })";
  const peer = await open("/?q=1", html([{ id: "a", at: 1 }], { cursor: "e.1", script }));
  const fetched = nextFetch();
  peer.send(RESET);
  await inState(page, "connecting");
  await page.clock.runFor(2000);
  const { url, answer } = await fetched;
  expect(url.search).toBe("?fragment=1&at=e.10");
  answer(FRESH);
  await atCursor(page, "e.10");
});

test("the page's HTML, saved as it stands, is an old copy from which all is caught up", async () => {
  const peer = await open();
  peer.send({ renders: { c: render("c", 3), b: render("b", 2, "", false) }, cursor: "e.5" });
  await atCursor(page, "e.5");
  const saved = await page.evaluate(() => document.documentElement.outerHTML);
  site.page = () => `<!doctype html>${saved}`;
  await page.goto(`http://${site.host}/`);
  const next = await site.peer();
  expect(next.cursor).toBe("e.5");
  next.send({ renders: { b: render("b", 2, "b again") }, cursor: "e.6" });
  await atCursor(page, "e.6");
  expect(await shown(page)).toEqual(["c", "b again", "a"]);
});

/** Loses the connection of a page, and answers with the next one, and the fetch that it brings about. */
async function comeBack(peer: Peer): Promise<[Peer, Awaited<ReturnType<typeof nextFetch>>]> {
  const fetched = nextFetch();
  peer.socket.terminate();
  const next = await site.peer();
  return [next, await fetched];
}

test("back without a cursor: what was missed comes from the HTML, what comes meanwhile is shown at once", async () => {
  const bare = [{ id: "edited" }, { id: "gone" }, { id: "a" }];
  const peer = await open("/", html(bare));
  peer.send({ renders: { live: render("live", undefined) } });
  await page.waitForSelector('[data-post-id="live"]');
  expect(site.resyncs).toEqual([]);

  const [next, { url, answer }] = await comeBack(peer);
  expect([next.cursor, url.searchParams.get("at")]).toEqual(["", expect.stringMatching(/^\d+$/)]);
  next.send({ renders: { later: render("later", undefined) } });
  next.send({ renders: { a: render("a", undefined, "newest") } });
  await page.waitForFunction(() => document.querySelector('[data-post-id="a"]')?.textContent === "newest");
  expect(await shown(page)).toEqual(["later", "live", "edited", "gone", "newest"]);
  expect(await stateOf(page)).toBe("connecting");

  answer(
    html([{ id: "missed" }, { id: "live" }, { id: "edited", html: post("edited", "new") }, { id: "a" }]),
  );
  await inState(page, "live");
  expect(await shown(page)).toEqual(["later", "missed", "live", "new", "newest"]);
  expect(await page.evaluate(() => document.getElementById("live-posts")!.dataset.cursor)).toBe(undefined);
  next.send({ removals: ["missed"] });
  await page.waitForSelector('[data-post-id="missed"]', { state: "detached" });
  expect(site.resyncs).toHaveLength(1);
});

test("back without a cursor, to HTML that has one: joins anew with it", async () => {
  const peer = await open("/", html([{ id: "a", at: 1 }]));
  const [next, { answer }] = await comeBack(peer);
  // A cursor of a connection that missed something must not become the page's.
  next.send({ renders: { later: render("later", 9) }, cursor: "e.9" });
  await page.waitForSelector('[data-post-id="later"]');
  answer(
    html(
      [
        { id: "missed", at: 2 },
        { id: "a", at: 1 },
      ],
      { cursor: "e.7" },
    ),
  );
  await next.closed;
  const joined = await site.peer();
  expect(joined.cursor).toBe("e.7");
  joined.send({ renders: { n8: render("n8", 8), later: render("later", 9) }, cursor: "e.9" });
  await atCursor(page, "e.9");
  expect(await shown(page)).toEqual(["later", "n8", "missed", "a"]);
  expect(site.resyncs).toHaveLength(1);
});

test("back without a cursor and lost again: the HTML is fetched for the connection that stays", async () => {
  const peer = await open("/", html([{ id: "a" }]));
  const [next] = await comeBack(peer);
  const [last, { answer }] = await comeBack(next);
  last.send({ cursor: "e.9" });
  answer(html([{ id: "missed" }, { id: "a" }]));
  await atCursor(page, "e.9");
  await inState(page, "live");
  expect(await shown(page)).toEqual(["missed", "a"]);
});

test("a page without a cursor that finds no server at first has missed something, too", async () => {
  site.page = () => html([{ id: "a" }]);
  site.refuse = 503;
  await page.clock.install();
  await page.goto(`http://${site.host}/`);
  await inState(page, "waiting");
  site.page = () => html([{ id: "missed" }, { id: "a" }]);
  site.refuse = 0;
  await page.clock.runFor(1000);
  await site.peer();
  await page.clock.runFor(3000);
  await page.waitForSelector('[data-post-id="missed"]');
  expect(await shown(page)).toEqual(["missed", "a"]);
});
