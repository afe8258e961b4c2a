import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chromiumPath, launchBrowser } from "../support/browser.ts";
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

let script: string;
let browser: Browser;
let site: Site;
let page: Page;
let errors: string[];
let closeTab: () => Promise<void>;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchBrowser(), bundle()]);
});
afterAll(() => browser.close());
beforeEach(async () => {
  site = await startSite(script);
  ({ page, errors, close: closeTab } = await openTab(browser));
});
afterEach(async () => {
  await closeTab();
  await site.close();
  expect(errors).toEqual([]);
});

interface Opening {
  readonly cursor?: string | null;
  readonly script?: string;
  readonly channelId?: string | null;
  readonly clock?: boolean;
}

async function open({ cursor = "e.1", clock = false, ...options }: Opening = {}): Promise<Peer> {
  site.page = () => html([{ id: "a", at: 1 }], { ...options, ...(cursor === null ? {} : { cursor }) });
  if (clock) await page.clock.install();
  await page.goto(`http://${site.host}/`);
  const peer = await site.peer();
  await inState(page, "live");
  return peer;
}

/** An update that adds one post, named after its number. */
function update(seq: number, epoch = "e"): object {
  return { renders: { [`n${seq}`]: render(`n${seq}`, seq) }, cursor: `${epoch}.${seq}` };
}

/** Tells the page that it is (not) looked at: headless tabs are always in front. */
function setHidden(hidden: boolean): Promise<void> {
  return page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

describe("the address", () => {
  test("is made of the page's host, channel and cursor", async () => {
    const peer = await open();
    expect(peer.url).toBe("/ws/channel/page/?cursor=e.1");
    expect(await page.evaluate("[live.state, live.cursor, live.channelId]")).toEqual(["live", "e.1", "page"]);
  });

  test("has an empty cursor when the page has none, until a frame brings one", async () => {
    const peer = await open({ cursor: null });
    expect(peer.url).toBe("/ws/channel/page/?cursor=");
    expect(await page.evaluate("live.cursor")).toBe(null);
    peer.send({ cursor: "e.7" });
    await atCursor(page, "e.7");
    peer.socket.terminate();
    expect((await site.peer()).cursor).toBe("e.7");
  });

  test("carries any channel id", async () => {
    const peer = await open({ channelId: "é ?#%&amp;-1" });
    expect(decodeURIComponent(peer.url.split("/")[3]!)).toBe("é ?#%&-1");
    expect(peer.url.split("/")[3]).not.toMatch(/[?#&]/);
  });

  test("takes the channel id from the option, else the HTML, else the guide's global", async () => {
    const guide = "const channelID = 'from the guide'; ";
    const at = async (channelId: string | null, connect: string) =>
      decodeURIComponent((await open({ channelId, script: guide + connect })).url.split("/")[3]!);
    expect(await at("html", "tidings.connect({ channelId: 'option' })")).toBe("option");
    expect(await at("html", "tidings.connect()")).toBe("html");
    expect(await at(null, "tidings.connect()")).toBe("from the guide");
  });

  test.each([
    ["{}", "live.test:80", "ws://live.test:80/ws/channel/page/?cursor=e.1"],
    ["{ secure: true }", "live.test", "wss://live.test/ws/channel/page/?cursor=e.1"],
    ["{}", "wss://live.test/", "wss://live.test/ws/channel/page/?cursor=e.1"],
    ["{}", "https://live.test/sub", "wss://live.test/sub/ws/channel/page/?cursor=e.1"],
    ["{}", "http://live.test", "ws://live.test/ws/channel/page/?cursor=e.1"],
  ])("with options %s, %s gives %s", async (options, baseURL, url) => {
    await open({
      script: `tidings.connect(); class Show extends GenericWebsocketPublisher {
        initializeWebsocketConnection() { window.address = this.url }
        initializeOnMessageEvent() {}
        initializeOnErrorEvent() {}
      }
      new Show("${baseURL}", ${options}).start()`,
    });
    expect(await page.evaluate("address")).toBe(url);
  });

  test("is secure when the guide's useSecureWsConnection says so", async () => {
    await open({
      script: `let useSecureWsConnection = false; live = tidings.connect();
        before = live.url; useSecureWsConnection = true; after = live.url`,
    });
    expect(await page.evaluate("[before, after].map((url) => url.split(':')[0])")).toEqual(["ws", "wss"]);
  });

  test("without a list of posts or a channel id, or with a pageUrl that is none, start() says what is wrong", async () => {
    site.page = () => html([], { channelId: null, script: "" });
    await page.goto(`http://${site.host}/`);
    const tried = (expression: string) =>
      page.evaluate(`(() => { try { ${expression} } catch (error) { return error.message } })()`);
    expect(await tried("tidings.connect()")).toMatch(/channel id/);
    expect(await tried("tidings.connect({ target: '#nowhere', channelId: 'x' })")).toMatch(/#nowhere/);
    // It would be found out at the first reset, and there only the browser's console would hear of it.
    expect(await tried("tidings.connect({ channelId: 'x', pageUrl: 'http://[' })")).toMatch(
      /pageUrl http:\/\/\[: not a URL/,
    );
    expect(site.waiting).toBe(0);
  });

  test("the script connects to nothing by itself", async () => {
    site.page = () => html([], { script: "ready = true" });
    await page.goto(`http://${site.host}/`);
    await page.waitForFunction("ready");
    expect(await page.evaluate("document.getElementById('live-posts').dataset.liveState")).toBe(undefined);
    expect(site.waiting).toBe(0);
  });
});

describe("exactly once (rule 2)", () => {
  test("drops what is not beyond its cursor in its epoch", async () => {
    const peer = await open({ cursor: "e.5" });
    peer.send({ renders: { a: render("a", 1, "older") }, cursor: "e.4" });
    peer.send({ renders: { a: render("a", 1, "as old") }, cursor: "e.5" });
    peer.send({ removals: ["a"], cursor: "e.5" });
    peer.send(update(6));
    await atCursor(page, "e.6");
    expect(await shown(page)).toEqual(["n6", "a"]);
    // Numbers compare as numbers.
    peer.send(update(10));
    peer.send({ renders: { a: render("a", 1, "nine") }, cursor: "e.9" });
    peer.send(update(11));
    await atCursor(page, "e.11");
    expect(await shown(page)).toEqual(["n11", "n10", "n6", "a"]);
  });

  test("takes another epoch on the connection it holds at its word", async () => {
    const peer = await open({ cursor: "e.5" });
    peer.send({ renders: { a: render("a", 1, "restored") }, cursor: "f.3" });
    await atCursor(page, "f.3");
    expect(await shown(page)).toEqual(["restored"]);
  });

  test("applies a frame without cursor, and does not move", async () => {
    const peer = await open();
    peer.send({ renders: { b: render("b", 2) } });
    peer.send({ renders: { c: render("c", 3) }, cursor: "not a cursor" });
    await page.waitForSelector('[data-post-id="c"]');
    expect(await shown(page)).toEqual(["c", "b", "a"]);
    expect(await page.evaluate("live.cursor")).toBe("e.1");
  });

  test("a heartbeat moves the cursor", async () => {
    const peer = await open();
    peer.send({ cursor: "e.9" });
    await atCursor(page, "e.9");
    expect(await shown(page)).toEqual(["a"]);
  });

  test("drops the frames, and the end, of a connection it has left", async () => {
    await open({
      clock: true,
      script: `links = [];
        class Manual extends WebsocketPublisher {
          initializeWebsocketConnection(connection) { links.push(connection); connection.opened() }
          initializeOnMessageEvent() {}
          initializeOnErrorEvent() {}
        }
        new GenericWebsocketPublisher(location.host).start();
        live = new Manual("nowhere"); live.start();`,
    });
    await stopClock(page);
    await page.evaluate("links[0].lost(); links[0].lost()");
    await page.clock.runFor(600);
    expect(await page.evaluate("links.length")).toBe(2);
    await page.evaluate(
      (frame) => {
        type Link = { receive(text: string): void; lost(): void; opened(): void };
        const { links } = window as unknown as { links: Link[] };
        links[0]!.receive(frame);
        links[0]!.lost();
        links[0]!.opened();
      },
      JSON.stringify({ renders: {}, removals: ["a"], cursor: "e.9" }),
    );
    expect(await shown(page)).toEqual(["a"]);
    expect(await page.evaluate("[live.cursor, live.state]")).toEqual(["e.1", "live"]);
    await page.clock.runFor(59_000);
    expect(await page.evaluate("links.length")).toBe(2);
    // And the connection held is still watched for silence.
    await page.clock.runFor(2000);
    expect(await page.evaluate("links.length")).toBe(3);
  });
});

describe("what cannot be used", () => {
  test("bad frames are ignored", async () => {
    const peer = await open();
    for (const frame of [
      "not json",
      "",
      "null",
      "7",
      "[]",
      "{}",
      '{"renders":null,"removals":[]}',
      '{"renders":{"x":null},"removals":[]}',
      '{"renders":{"x":{"show":true}},"removals":[],"cursor":"e.3"}',
      '{"renders":{},"removals":"a","cursor":"e.3"}',
      '{"renders":{},"removals":[],"reset":true}',
      '{"renders":{},"removals":[],"retry":7}',
    ]) {
      peer.send(frame);
    }
    peer.socket.send(Buffer.from([1, 2, 3]));
    peer.send(update(2));
    await atCursor(page, "e.2");
    expect(await shown(page)).toEqual(["n2", "a"]);
    expect(await stateOf(page)).toBe("live");
  });

  test("a callback that throws is reported, and breaks nothing", async () => {
    const peer = await open({
      script: `tidings.connect({
        onUpdate() { throw new Error("from onUpdate") },
        onState(state) { if (state !== "waiting") throw new Error("from onState: " + state) },
      })`,
    });
    peer.send(update(2));
    peer.send(update(3));
    await atCursor(page, "e.3");
    expect(await shown(page)).toEqual(["n3", "n2", "a"]);
    expect(errors.splice(0)).toEqual([
      "from onState: connecting",
      "from onState: live",
      "from onUpdate",
      "from onUpdate",
    ]);
  });

  test("a change that fails does not move the cursor, and is asked for again", async () => {
    const peer = await open();
    await page.evaluate(() => {
      const list = document.getElementById("live-posts")!;
      list.insertBefore = () => {
        delete (list as { insertBefore?: unknown }).insertBefore;
        throw new Error("someone broke insertBefore");
      };
    });
    peer.send({ ...update(2), removals: ["a"] });
    peer.send(update(3));
    const next = await site.peer();
    expect(next.cursor).toBe("e.1");
    await peer.closed;
    expect(await shown(page)).toEqual(["a"]);
    next.send({ renders: { n2: render("n2", 2), n3: render("n3", 3) }, removals: ["a"], cursor: "e.3" });
    await atCursor(page, "e.3");
    expect(await shown(page)).toEqual(["n3", "n2"]);
    expect(errors.splice(0)).toEqual(["someone broke insertBefore"]);
  });
});

describe("coming back (rule 3)", () => {
  test("resumes from its cursor, and shows each state", async () => {
    const peer = await open({
      script: "states = []; live = tidings.connect({ onState: (state) => states.push(state) })",
    });
    peer.send(update(2));
    await atCursor(page, "e.2");
    peer.socket.terminate();
    const next = await site.peer();
    expect(next.cursor).toBe("e.2");
    next.send({ renders: { n2: render("n2", 2), n9: render("n9", 9) }, cursor: "e.9" });
    await atCursor(page, "e.9");
    expect(await shown(page)).toEqual(["n9", "n2", "a"]);
    expect(await page.evaluate("states")).toEqual(["connecting", "live", "waiting", "connecting", "live"]);
  });

  test("waits longer and longer, until a frame with a cursor has come", async () => {
    const peer = await open({ clock: true });
    await stopClock(page);
    await setDice(page, 0.999_999);
    site.refuse = 503;
    peer.socket.close(1011);
    await inState(page, "waiting");
    for (const wait of [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      await page.clock.runFor(wait - 10);
      expect(await stateOf(page)).toBe("waiting");
      const refused = page.waitForEvent("console", (message) => message.text().includes("503"));
      await page.clock.runFor(20);
      await refused;
      await inState(page, "waiting");
    }
    expect(site.refused).toBe(8);
    site.refuse = 0;
    await page.clock.runFor(30_000);
    const next = await site.peer();
    next.send(update(2));
    await atCursor(page, "e.2");
    next.socket.close(1011);
    await inState(page, "waiting");
    await page.clock.runFor(510);
    await site.peer();
  });

  test.each([
    { lasted: 9000, wait: 1000 },
    { lasted: 10_000, wait: 500 },
  ])("after a connection of $lasted ms without a frame it waits up to $wait ms", async ({ lasted, wait }) => {
    const first = await open({ clock: true });
    await stopClock(page);
    await setDice(page, 0.999_999);
    first.socket.close();
    await inState(page, "waiting");
    await page.clock.runFor(510);
    const second = await site.peer();
    await inState(page, "live");
    await page.clock.runFor(lasted);
    second.socket.close();
    await inState(page, "waiting");
    await page.clock.runFor(wait - 10);
    expect(await stateOf(page)).toBe("waiting");
    await page.clock.runFor(20);
    await site.peer();
  });

  test.each([
    { dice: 0, wait: 3000 },
    { dice: 0.5, wait: 5000 },
    { dice: 0.999_999, wait: 7000 },
  ])("comes back inside the window that `retry` gives (dice: $dice)", async ({ dice, wait }) => {
    const peer = await open({ clock: true });
    await stopClock(page);
    await setDice(page, dice);
    peer.send({ retry: [3000, 7000] });
    peer.socket.close(1012);
    await inState(page, "waiting");
    await page.clock.runFor(wait - 10);
    expect(await stateOf(page)).toBe("waiting");
    await page.clock.runFor(20);
    const next = await site.peer();
    // The window was for once.
    await inState(page, "live");
    next.socket.close(1012);
    await inState(page, "waiting");
    await page.clock.runFor(510);
    await site.peer();
  });

  test.for(["[1e300,1e300]", "[7200000,7200000]", '["1",{"valueOf":1,"toString":1}]', "[5]"])(
    "a window of `retry` that is none, or longer than an hour, counts for nothing: %s",
    async (retry) => {
      const peer = await open({ clock: true });
      await stopClock(page);
      peer.send(`{"renders":{},"removals":[],"retry":${retry}}`);
      peer.socket.close(1012);
      await inState(page, "waiting");
      await page.clock.runFor(240);
      expect(await stateOf(page)).toBe("waiting");
      await page.clock.runFor(20);
      await site.peer();
    },
  );

  test("takes a connection that was silent for 60 s for dead", async () => {
    const peer = await open({ clock: true });
    await stopClock(page);
    await page.clock.runFor(50_000);
    peer.send({ cursor: "e.2" });
    await atCursor(page, "e.2");
    await page.clock.runFor(59_000);
    expect(await stateOf(page)).toBe("live");
    await page.clock.runFor(2000);
    const next = await site.peer();
    expect(next.cursor).toBe("e.2");
    await peer.closed;
  });

  test("does not take a server without cursors for dead: it has no heartbeat", async () => {
    const peer = await open({ clock: true, cursor: null });
    await stopClock(page);
    await page.clock.runFor(600_000);
    expect(await stateOf(page)).toBe("live");
    peer.send({ renders: { b: render("b", undefined) } });
    await page.waitForSelector('[data-post-id="b"]');
    expect(site.waiting).toBe(0);
  });

  test("heeds the network: offline at once, back soon after it is there", async () => {
    const peer = await open({ clock: true });
    await stopClock(page);
    site.refuse = 503;
    await page.context().setOffline(true);
    await inState(page, "offline");
    await peer.closed;
    // It goes on trying now and then, for a browser may be wrong about its network.
    await page.clock.runFor(60_000);
    expect(await stateOf(page)).toBe("offline");
    site.refuse = 0;
    await page.context().setOffline(false);
    await page.waitForFunction(() => navigator.onLine);
    await page.clock.runFor(510);
    const next = await site.peer();
    expect(next.cursor).toBe("e.1");
    await inState(page, "live");
  });

  test("close() ends it, and start() goes on from there", async () => {
    const peer = await open({ clock: true });
    await page.evaluate("live.close(); live.close()");
    await peer.closed;
    expect(await page.evaluate("live.state")).toBe("offline");
    expect(await stateOf(page)).toBe("offline");
    await page.evaluate(() => {
      dispatchEvent(new Event("online"));
      document.dispatchEvent(new Event("visibilitychange"));
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
    });
    expect(await stateOf(page)).toBe("offline");
    await page.clock.runFor(120_000);
    expect(await stateOf(page)).toBe("offline");
    expect(site.waiting).toBe(0);
    await page.evaluate("live.start(); live.start()");
    expect((await site.peer()).cursor).toBe("e.1");
    await inState(page, "live");
    expect(site.waiting).toBe(0);
  });
});

describe("out of sight (rule 5)", () => {
  test("lets go after the time given, and resumes at once when seen", async () => {
    const peer = await open({ clock: true, script: "live = tidings.connect({ hiddenAfter: 30_000 })" });
    await stopClock(page);
    await setHidden(true);
    await page.clock.runFor(29_000);
    expect(await stateOf(page)).toBe("live");
    await page.clock.runFor(2000);
    await peer.closed;
    expect(await stateOf(page)).toBe("waiting");
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await page.clock.runFor(510);
    expect(await stateOf(page)).toBe("waiting");
    await setHidden(false);
    const next = await site.peer();
    expect(next.cursor).toBe("e.1");
    next.send(update(4));
    await atCursor(page, "e.4");
  });

  test("five minutes when no time is given, and a look in between starts the count anew", async () => {
    const peer = await open({ clock: true });
    await stopClock(page);
    // Heartbeats keep the connection from being taken for dead.
    let seq = 1;
    const minutes = async (count: number) => {
      for (let i = 0; i < count * 2; i++) {
        peer.send({ cursor: `e.${++seq}` });
        await atCursor(page, `e.${seq}`);
        await page.clock.runFor(30_000);
      }
    };
    await setHidden(true);
    await minutes(4);
    await setHidden(false);
    await minutes(2);
    expect(await stateOf(page)).toBe("live");
    await setHidden(true);
    await minutes(4);
    expect(await stateOf(page)).toBe("live");
    await minutes(1);
    await inState(page, "waiting");
    await peer.closed;
  });

  test("a page that opens out of sight lets go as well", async () => {
    await page.addInitScript(() => {
      Object.defineProperty(document, "hidden", { configurable: true, value: true });
    });
    const peer = await open({ clock: true, script: "live = tidings.connect({ hiddenAfter: 1000 })" });
    await page.clock.runFor(1100);
    await peer.closed;
  });

  test("on return it does not wait out a back-off", async () => {
    const peer = await open({ clock: true });
    await stopClock(page);
    await setHidden(true);
    peer.socket.terminate();
    await inState(page, "waiting");
    await setHidden(false);
    await site.peer();
    await inState(page, "live");
  });

  test("after the machine slept, a look at the page finds the dead connection", async () => {
    const peer = await open({ clock: true });
    await stopClock(page);
    // A clock that jumped and timers that did not: what a sleep looks like.
    await page.clock.setSystemTime((await page.evaluate(() => Date.now())) + 3_600_000);
    await setHidden(false);
    await site.peer();
    await peer.closed;
  });

  test("pagehide and pageshow do it alone, in browsers that tell no change of visibility then", async () => {
    const peer = await open();
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
    expect(await stateOf(page)).toBe("waiting");
    await peer.closed;
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
    await site.peer();
    await inState(page, "live");
  });

  test("lives through the back/forward cache without a connection, and resumes on return", async () => {
    const own = await chromium.launch({
      executablePath: chromiumPath(),
      args: ["--no-sandbox", "--disable-gpu"],
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
    try {
      ({ page } = await openTab(own));
      const peer = await open();
      await page.evaluate("mark = 'the same document'");
      await page.goto(`http://${site.host}/elsewhere`);
      await peer.closed;
      await page.evaluate(() => history.back());
      const next = await site.peer();
      await inState(page, "live");
      expect(next.cursor).toBe("e.1");
      expect(await page.evaluate("mark")).toBe("the same document");
      next.send(update(5));
      await atCursor(page, "e.5");
      expect(await shown(page)).toEqual(["n5", "a"]);
    } finally {
      await own.close();
    }
  });
});

describe("the guide's classes", () => {
  test("the guide's lines make a page live", async () => {
    site.page = () =>
      html([{ id: "a" }], {
        channelId: null,
        script: `const channelID = "page", useSecureWsConnection = false;
          const serverHost = location.hostname, serverPort = location.port;
          const baseURL = \`\${serverHost}:\${serverPort}\`;
          const FrameworkOrLibraryPublisher = new GenericWebsocketPublisher(baseURL);
          FrameworkOrLibraryPublisher.start();`,
      });
    await page.goto(`http://${site.host}/`);
    const peer = await site.peer();
    expect(peer.url).toBe("/ws/channel/page/?cursor=");
    peer.send({ renders: { b: { show: true, content: post("b", "b") } } });
    await page.waitForSelector('[data-post-id="b"]');
    expect(await shown(page)).toEqual(["b", "a"]);
  });

  test("a subclass with three methods, on a library of its own, has the whole guarantee", async () => {
    // The library: sockets with another interface, which even go on talking after they were closed.
    const peer = await open({
      script: `class LibrarySocket {
          constructor(url) { this.handlers = {}; this.socket = new WebSocket(url); }
          on(name, handler) {
            this.handlers[name] = handler;
            this.socket.addEventListener("message", ({ data }) => name === "message" && handler(data));
            this.socket.addEventListener("close", () => name === "close" && handler());
          }
          close() { this.socket.close(); this.handlers.close(); }
        }
        class LibraryPublisher extends WebsocketPublisher {
          initializeWebsocketConnection({ opened }) {
            this.websocket = new LibrarySocket(this.url);
            this.websocket.socket.onopen = opened;
          }
          initializeOnMessageEvent({ receive }) { this.websocket.on("message", receive); }
          initializeOnErrorEvent({ lost }) { this.websocket.on("close", lost); }
        }
        live = tidings.connect({ Publisher: LibraryPublisher })`,
    });
    peer.send(update(2));
    peer.send(update(2));
    await atCursor(page, "e.2");
    peer.send({ retry: [0, 1] });
    peer.socket.close(1012);
    const second = await site.peer();
    expect(second.cursor).toBe("e.2");
    second.send({ cursor: "f.1", reset: true });
    site.page = () => html([{ id: "z", at: 1 }], { cursor: "f.1" });
    await atCursor(page, "f.1");
    expect(await shown(page)).toEqual(["z"]);
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await second.closed;
    const third = await site.peer();
    expect(third.cursor).toBe("f.1");
    await inState(page, "live");
    await page.evaluate("live.close()");
    await third.closed;
    expect(site.waiting).toBe(0);
  });

  test("a subclass that never says `opened` is live with its first message", async () => {
    site.page = () =>
      html([{ id: "a", at: 1 }], {
        cursor: "e.1",
        script: `class Quiet extends GenericWebsocketPublisher {
          initializeWebsocketConnection() { this.websocket = new WebSocket(this.url); }
        }
        live = tidings.connect({ Publisher: Quiet })`,
      });
    await page.goto(`http://${site.host}/`);
    const peer = await site.peer();
    expect(await stateOf(page)).toBe("connecting");
    peer.send(update(2));
    await inState(page, "live");
    expect(await shown(page)).toEqual(["n2", "a"]);
  });

  test("a subclass that throws is tried again, and the error is reported", async () => {
    await open({
      script: `class Broken extends GenericWebsocketPublisher {
          initializeWebsocketConnection(connection) {
            if (!this.tried) { this.tried = true; throw new Error("no transport yet"); }
            super.initializeWebsocketConnection(connection);
          }
        }
        live = tidings.connect({ Publisher: Broken })`,
    });
    expect(errors.splice(0)).toEqual(["no transport yet"]);
  });
});
