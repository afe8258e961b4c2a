import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { launchBrowser } from "../support/browser.ts";
import { startTestServer, text } from "../support/server.ts";
import { atCursor, bundle, inState, openTab, post, render, type Site, shown, startSite } from "./site.ts";

let script: string;
let browser: Browser;
let site: Site;
let live: LiveServer;
let page: Page;
let errors: string[];
let closeTab: () => Promise<void>;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchBrowser(), bundle("wagtail-live/global.ts")]);
});
afterAll(() => browser.close());
beforeEach(async () => {
  [site, live] = await Promise.all([startSite(script), startLiveServer()]);
  ({ page, errors, close: closeTab } = await openTab(browser));
});
afterEach(async () => {
  await closeTab();
  await Promise.all([site.close(), live.kill()]);
  expect(errors).toEqual([]);
});

/** A server of Wagtail Live's kind: it broadcasts `renders` and `removals` to who is there, and knows nothing more. */
interface LiveServer {
  readonly port: number;
  /** The URLs of all connections so far. */
  readonly urls: string[];
  readonly sockets: Set<WebSocket>;
  publish(renders: object, removals?: string[]): void;
  /** Resolves when the next reader has come. */
  reader(): Promise<unknown>;
  kill(): Promise<void>;
  revive(): Promise<void>;
}

async function startLiveServer(): Promise<LiveServer> {
  let server: WebSocketServer;
  let port = 0;
  let joined = () => {};
  const urls: string[] = [];
  const listen = async () => {
    server = new WebSocketServer({ host: "127.0.0.1", port });
    server.on("connection", (_, { url }) => {
      urls.push(url!);
      joined();
    });
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  };
  await listen();
  return {
    get port() {
      return port;
    },
    urls,
    get sockets() {
      return server.clients;
    },
    publish(renders, removals = []) {
      for (const socket of server.clients) socket.send(JSON.stringify({ renders, removals }));
    },
    reader: () =>
      new Promise<void>((resolve) => {
        joined = resolve;
      }),
    async kill() {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
    revive: listen,
  };
}

/** A page as Wagtail Live's templates render it: `live_posts.html`, and below it the publisher's. */
function html(ids: readonly string[], publisher: string, attributes = ""): string {
  const posts = ids.map(
    (id) => `<div class="live-post-wrapper">
                ${post(id, id)}
            </div>`,
  );
  return `<!doctype html><meta charset="utf-8"><title>page</title>
<div id="live-posts"${attributes}>${posts.join("\n")}</div>

<input type="hidden" name="csrfmiddlewaretoken" value="x">
<script>
    const csrftoken = document.querySelector('[name=csrfmiddlewaretoken]').value;
    const channelID = "page";
</script>
${publisher}`;
}

const scripts = (port: number, publisher: string) => `<script>
    const useSecureWsConnection = JSON.parse("False".toLowerCase());
</script>
<script>
    const serverHost = "127.0.0.1";
    const serverPort = "${port}";
</script>
<script src="/tidings.js"></script>
<script>${publisher}</script>`;

/** The guide's publisher, word for word. */
const GENERIC = `
const baseURL = \`\${serverHost}:\${serverPort}\`;
const FrameworkOrLibraryPublisher = new GenericWebsocketPublisher(baseURL);
FrameworkOrLibraryPublisher.start(); 
`;

/** A site's own, on a URL of its own. */
const OWN_URL = `
class OwnPublisher extends WebsocketPublisher {
    initialize_websocket_connection() {
        this.websocket = new WebSocket(\`\${scheme}://\${this.baseURL}/rooms/\${channelID}?api_key=k\`);
    }
    initialize_on_message_event() {
        this.websocket.onmessage = (e) => { process_updates(JSON.parse(e.data)); };
    }
    initialize_on_error_event() {
        this.websocket.onclose = (e) => { console.error("closed"); };
    }
}
const publisher = new OwnPublisher(\`\${serverHost}:\${serverPort}\`);
publisher.start();
`;

/** Another's, which inherits what it does with messages. */
const HOSTED = `
class HostedPublisher extends GenericWebsocketPublisher {
    initialize_websocket_connection() {
        this.websocket = new WebSocket(\`ws://127.0.0.1:\${serverPort}/\${channelID}?api_key=k\`);
    }
}
const publisher = new HostedPublisher();
publisher.start();
`;

/** On a library whose sockets are emitters. */
const LIBRARY = `
class LibrarySocket {
    #handlers = {};
    constructor(url) {
        this.socket = new WebSocket(url);
        this.socket.onopen = () => this.emit("connect");
        this.socket.onmessage = ({ data }) => this.emit("update", JSON.parse(data));
        this.socket.onclose = () => this.emit("disconnect");
    }
    on(name, handler) { (this.#handlers[name] ??= []).push(handler); }
    emit(name, value) { for (const handler of this.#handlers[name] ?? []) handler(value); }
    disconnect() { this.socket.close(); }
}
class LibraryPublisher extends WebsocketPublisher {
    initialize_websocket_connection() { this.websocket = new LibrarySocket(\`ws://\${this.baseURL}/lib\`); }
    initialize_on_message_event() { this.websocket.on("update", process_updates); }
    initialize_on_error_event() { this.websocket.on("disconnect", () => console.error("closed")); }
}
new LibraryPublisher(\`\${serverHost}:\${serverPort}\`).start();
`;

/** On a library that says what happens to handlers alone. */
const HANDLERS = LIBRARY.replace(
  /class LibrarySocket[\s\S]*?\n}/,
  `
class LibrarySocket {
    constructor(url) {
        this.socket = new WebSocket(url);
        this.socket.onopen = () => this.onopen?.();
        this.socket.onmessage = ({ data }) => this.onupdate(JSON.parse(data));
        this.socket.onclose = () => this.onclose();
    }
    close() { this.socket.close(); }
}`,
)
  .replace('.on("update", process_updates)', ".onupdate = process_updates")
  .replace('.on("disconnect", () => console.error("closed"))', '.onclose = () => console.error("closed")');

async function open(publisher: string, ids: readonly string[] = ["a"], attributes = ""): Promise<void> {
  site.page = () => html(ids, scripts(live.port, publisher), attributes);
  const joined = live.reader();
  await page.goto(`http://${site.host}/`);
  await joined;
  await inState(page, "live");
}

/** The server dies, a post is published, and the server is back. */
async function outage(publisher: string, ids: readonly string[]): Promise<void> {
  await live.kill();
  await inState(page, "waiting");
  site.page = () => html(ids, scripts(live.port, publisher));
  const joined = live.reader();
  await live.revive();
  await joined;
}

async function seen(id: string, content: string = id): Promise<void> {
  await page.waitForFunction(
    ([id, content]) =>
      [...document.querySelectorAll<HTMLElement>("[data-post-id]")].some(
        ({ dataset, textContent }) => dataset.postId === id && textContent === content,
      ),
    [id, content],
  );
}

describe("a server of Wagtail Live's, killed and back", () => {
  test.each([
    ["the guide's publisher", GENERIC, /^\/ws\/channel\/page\/\?cursor=$/],
    ["a subclass on a URL of its own", OWN_URL, /^\/rooms\/page\?api_key=k$/],
    ["a subclass that overrides the URL alone", HOSTED, /^\/page\?api_key=k$/],
    ["a subclass on a library of emitters", LIBRARY, /^\/lib$/],
    ["a subclass on a library of handlers", HANDLERS, /^\/lib$/],
  ])("%s: what was missed appears, and it goes on", async (_, publisher, url) => {
    await open(publisher);
    live.publish({ b: render("b", undefined) });
    await seen("b");
    live.publish({ a: render("a", undefined, "edited"), b: render("b", undefined, "b", false) });
    await seen("a", "edited");
    expect(await shown(page)).toEqual(["edited"]);

    await outage(publisher, ["missed", "a"]);
    await seen("missed");
    await inState(page, "live");
    expect(await shown(page)).toEqual(["missed", "a"]);
    live.publish({ c: render("c", undefined) }, ["a"]);
    await seen("c");
    expect(await shown(page)).toEqual(["c", "missed"]);
    expect(live.urls).toHaveLength(2);
    for (const each of live.urls) expect(each).toMatch(url);
    expect(live.sockets.size).toBe(1);
  });

  test("posts whose ids look like integers keep the order that the HTML gives them", async () => {
    await open(GENERIC, ["2", "10"]);
    live.publish({ 7: render("7", undefined) });
    await seen("7");
    live.publish({ 10: render("10", undefined, "edited") });
    await seen("10", "edited");
    expect(await shown(page)).toEqual(["7", "2", "edited"]);
    await outage(GENERIC, ["1", "7", "2", "10"]);
    await seen("1");
    expect(await shown(page)).toEqual(["1", "7", "2", "10"]);
  });
});

describe("scripts that reconnect by themselves", () => {
  const again = (how: string) =>
    OWN_URL.replace('console.error("closed");', `setTimeout(() => { ${how} }, 400);`);
  test.each([
    ["with the methods", again("this.initialize_websocket_connection(); this.initialize_on_message_event()")],
    ["with start()", again("this.initialize_websocket_connection(); this.start()")],
    ["with a new publisher", again("new OwnPublisher(this.baseURL).start()")],
  ])("%s have one connection after all", async (_, publisher) => {
    await open(publisher);
    for (const missed of ["m1", "m2", "m3"]) {
      await outage(publisher, [missed]);
      await seen(missed);
      await inState(page, "live");
    }
    live.publish({ b: render("b", undefined) });
    await seen("b");
    // Only a new publisher opens another before it is started, and that is closed at once.
    if (!publisher.includes("new OwnPublisher(this")) expect(live.urls).toHaveLength(4);
    await page.waitForFunction("publisher.websocket.readyState === 1");
    await expect.poll(() => live.sockets.size).toBe(1);
  });

  test("a site that closes the connection means it, and may start again", async () => {
    await open(OWN_URL);
    await page.evaluate("publisher.websocket.close()");
    await inState(page, "offline");
    await expect.poll(() => live.sockets.size).toBe(0);
    await page.evaluate(() => dispatchEvent(new Event("online")));
    site.page = () => html(["missed", "a"], "");
    const joined = live.reader();
    await page.evaluate("publisher.initialize_websocket_connection(); publisher.start()");
    await joined;
    await seen("missed");
    expect(live.urls).toHaveLength(2);
  });

  test("another publisher takes the page over", async () => {
    await open(`${GENERIC}${OWN_URL}`);
    await expect.poll(() => live.sockets.size).toBe(1);
    live.publish({ b: render("b", undefined) });
    await seen("b");
    expect(await shown(page)).toEqual(["b", "a"]);
  });
});

describe("frames that have cursors", () => {
  const send = (frame: object) => {
    for (const socket of live.sockets) socket.send(JSON.stringify({ renders: {}, removals: [], ...frame }));
  };

  test.each([
    ["the guide's publisher", GENERIC],
    ["a subclass", OWN_URL],
  ])(
    "%s: are applied once, in the order of their places, and hidden posts keep theirs",
    async (_, publisher) => {
      await open(publisher, ["a"], ' data-cursor="e.1"');
      send({
        renders: { 9: render("9", 2), 5: render("5", 3), h: render("h", 4, "", false) },
        cursor: "e.3",
      });
      await atCursor(page, "e.3");
      expect(await shown(page)).toEqual(["5", "9", "a"]);
      send({ renders: { 9: render("9", 2, "older") }, cursor: "e.2" });
      send({ removals: ["5"], cursor: "e.3" });
      send({ renders: { h: render("h", 4, "shown") }, cursor: "e.4" });
      await atCursor(page, "e.4");
      expect(await shown(page)).toEqual(["shown", "5", "9", "a"]);
    },
  );

  test("the guide's publisher resumes with its cursor", async () => {
    await open(GENERIC, ["a"], ' data-cursor="e.1"');
    await outage(GENERIC, []);
    await inState(page, "live");
    send({ renders: { b: render("b", 2) }, cursor: "e.2" });
    await atCursor(page, "e.2");
    expect(await shown(page)).toEqual(["b", "a"]);
    expect(live.urls.map((url) => url.split("?")[1])).toEqual(["cursor=e.1", "cursor=e.1"]);
    expect(site.resyncs).toEqual([]);
  });

  test("so does a subclass that puts its cursor into the URL", async () => {
    const resuming = OWN_URL.replace("?api_key=k", `?cursor=\${this.cursor}`);
    await open(resuming, ["a"], ' data-cursor="e.1"');
    send({ cursor: "e.2" });
    await atCursor(page, "e.2");
    await outage(resuming, []);
    await inState(page, "live");
    expect(live.urls).toEqual(["/rooms/page?cursor=e.1", "/rooms/page?cursor=e.2"]);
    expect(site.resyncs).toEqual([]);
  });

  test("a subclass whose URL has none catches up from the HTML, whatever the page's cursor", async () => {
    await open(OWN_URL, ["a"], ' data-cursor="e.1"');
    await live.kill();
    await inState(page, "waiting");
    site.page = () => html(["missed", "a"], "", ' data-cursor="e.7"');
    await live.revive();
    await seen("missed");
    await atCursor(page, "e.7");
    await inState(page, "live");
    expect(site.resyncs).toHaveLength(1);
    expect(live.urls).toHaveLength(2);
  });
});

describe("the functions", () => {
  async function openWithout(publisher = ""): Promise<void> {
    // The oldest layout: no constants but the page's, the script in the place of several.
    site.page = () =>
      html(
        ["a", 'q"uote'.replace('"', "'"), "z"],
        `<script src="/tidings.js"></script><script>${publisher}</script>
        <script src="/tidings.js"></script>`,
      );
    await page.goto(`http://${site.host}/`);
  }

  test("work without a publisher, on posts as every version sends them", async () => {
    await openWithout();
    await page.evaluate(`process("b", '<div class="live-post" data-post-id="b">b</div>')`);
    await page.evaluate(
      `process("a", { show: true, content: '<div class="live-post" data-post-id="a">new</div>' })`,
    );
    await page.evaluate(
      `process("z", { show: false, content: '<div class="live-post" data-post-id="z">z</div>' })`,
    );
    await page.evaluate("removeLivePost(`q'uote`); removeLivePost('nowhere')");
    expect(await shown(page)).toEqual(["b", "new"]);
    await page.evaluate(`process_updates({ renders: { c: "<p>c</p>" }, removals: ["a"] })`);
    expect(await shown(page)).toEqual(["c", "b"]);
    expect(
      await page.evaluate("[getPostByID('b').textContent, getPostByID('nowhere'), getPostByID(`q'uote`)]"),
    ).toEqual(["b", null, null]);
    expect(await page.evaluate("createLivePostWrapper('<i>x</i>').outerHTML")).toBe(
      '<div class="live-post-wrapper"><i>x</i></div>',
    );
    expect(
      await page.evaluate(`{
        const tracker = new LivePostsTracker();
        tracker.setLivePosts(["a", "b", "c"]);
        tracker.getLivePostsToDelete(["b"])
      }`),
    ).toEqual(["a", "c"]);
  });

  test("are the page's globals: a site may put its own in their place", async () => {
    await open(`let heard = 0; const theirs = process_updates;
      process_updates = (data) => { heard++; theirs(data); };${GENERIC}`);
    live.publish({ b: render("b", undefined) });
    await seen("b");
    expect(await page.evaluate("heard")).toBe(1);
  });

  test("the oldest layout has no constants for the scheme", async () => {
    const constants = `const serverHost = "127.0.0.1"; const serverPort = ${live.port};`;
    const joined = live.reader();
    await openWithout(constants + OWN_URL);
    await joined;
    await inState(page, "live");
    live.publish({ b: post("b", "b") });
    await seen("b");
  });
});

describe("a Tidings server", () => {
  test.each(["let through", "blocked"])("is followed with WebSockets %s, cut off and back", async (way) => {
    const server = await startTestServer({ origins: ["*"] });
    try {
      await server.api("POST", "/api/pages", { channelId: "page", title: "Page" });
      if (way === "blocked") await page.routeWebSocket(/./, (socket) => socket.close());
      const { port } = new URL(server.url);
      site.page = () => html([], scripts(Number(port), GENERIC));
      await page.goto(`http://${site.host}/`);
      const publish = (value: string) => server.api("POST", "/api/pages/page/posts", text(value));
      const contents = () => page.locator(".live-post-content").allTextContents();
      await inState(page, "live");
      await publish("one");
      await expect.poll(contents).toEqual(["one"]);
      await page.context().setOffline(true);
      await inState(page, "offline");
      const resyncs = site.resyncs.length;
      await publish("two");
      await publish("three");
      await page.context().setOffline(false);
      await expect.poll(contents, { timeout: 20_000 }).toEqual(["three", "two", "one"]);
      // The first update has brought a cursor.
      expect(site.resyncs).toHaveLength(resyncs);
    } finally {
      await server.close();
    }
  });
});
