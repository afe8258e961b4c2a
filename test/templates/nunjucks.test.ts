import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import nunjucks from "nunjucks";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { parseBlocks } from "../../src/pages/blocks.ts";
import { sqliteStore } from "../../src/pages/sqlite.ts";
import type { PageView } from "../../src/pages/store.ts";
import { createPagePublisher } from "../../src/publishers/pages.ts";
import { addTidings } from "../../src/templates/nunjucks.ts";
import { bundle } from "../app/reader-site.ts";
import { launchBrowser } from "../support/browser.ts";

const SETTINGS = { serverHost: "localhost", serverPort: 8765 };

/** The guide's publisher template, word for word. */
const PUBLISHER_HTML = `{% load static wagtail_live_tags %}

<script>
    const serverHost = "{% get_server_host %}";
    const serverPort = "{% get_server_port %}";
</script>

<script src="{% static 'wagtail_live/js/websocket/websocket.js' %}"></script>
<script src="{% static 'path/to/publisher.js' %}"></script> 
`;

/** The guide's publisher, word for word. */
const PUBLISHER_JS = `
const baseURL = \`\${serverHost}:\${serverPort}\`;
const FrameworkOrLibraryPublisher = new GenericWebsocketPublisher(baseURL);
FrameworkOrLibraryPublisher.start(); 
`;

/** A site's templates: the guide's live page. */
function templates(includes: readonly string[]): nunjucks.ILoader {
  const files = new Map([
    ["live.html", ["<!doctype html><title>{{ page.page.title }}</title>", ...includes].join("\n")],
    ["path/to/publisher.html", PUBLISHER_HTML],
  ]);
  return {
    getSource: (name) =>
      (files.has(name)
        ? { src: files.get(name)!, path: name, noCache: true }
        : null) as nunjucks.LoaderSource,
  };
}

const LIVE_POSTS = '{% include "wagtail_live/live_posts.html" %}';

const view: PageView = {
  page: { channelId: "<finals>", title: "<b>", created: 0, modified: 0, cursor: "e.1", posts: 1 },
  cursor: "e.1",
  posts: [
    { id: "7", show: true, at: 1, content: '<article class="live-post" data-post-id="7">Goal!</article>' },
  ],
};

function render(source: string, settings = {}, context: object = { page: view }): string {
  return addTidings(new nunjucks.Environment(templates([])), { ...SETTINGS, ...settings }).renderString(
    source,
    context,
  );
}

describe("the tags", () => {
  test("say where the server is", () => {
    expect(render("{% get_server_host %}:{% get_server_port %} {% use_secure_ws_connection %}")).toBe(
      "localhost:8765 false",
    );
    expect(render("{%- use_secure_ws_connection -%} ", { useSecureWsConnection: true })).toBe("true");
  });

  test("find our script, and leave other files where the site has them", () => {
    expect(render("{% static 'wagtail_live/js/websocket/websocket.js' %}")).toBe("/assets/tidings.js");
    expect(render("{% static 'a\"b.js' %}")).toBe("/static/a&quot;b.js");
    const settings = { assetsUrl: "https://cdn.example.com", staticUrl: "/s" };
    expect(render("{% static 'wagtail_live/js/websocket/websocket.js' %}", settings)).toBe(
      "https://cdn.example.com/tidings.js",
    );
    expect(render("{% set name = 'x.js' %}{% static name %}", settings)).toBe("/s/x.js");
  });

  test("load nothing, whatever is named", () => {
    expect(render("a{% load static wagtail_live_tags %}b{% load x.y %}c")).toBe("abc");
  });
});

describe("the includes", () => {
  test("show the posts of the page, escaped where it is text and as HTML where it is HTML", () => {
    expect(render(LIVE_POSTS)).toContain('data-channel-id="&lt;finals&gt;" data-cursor="e.1"');
    expect(render(LIVE_POSTS)).toContain('<article class="live-post" data-post-id="7">Goal!</article>');
    expect(render("{{ page.page.title }}")).toBe("&lt;b&gt;");
    expect(render(LIVE_POSTS, {}, { self: view })).toBe(render(LIVE_POSTS));
  });

  test.each(["websockets", "starlette", "django_channels"])("%s.html starts the publisher", (name) => {
    expect(render(`{% include "wagtail_live/websocket/${name}.html" %}`)).toContain("tidings.connect(");
  });

  test("say what is missing when there is no page", () => {
    expect(() => render(LIVE_POSTS, {}, {})).toThrow('needs a page\'s view as "page"');
  });

  test("give way to a template of the site's own, and leave unknown names unknown", () => {
    const loader = { getSource: () => ({ src: "mine", path: "x", noCache: true }) };
    expect(addTidings(new nunjucks.Environment(loader), SETTINGS).renderString(LIVE_POSTS, {})).toBe("mine");
    expect(() => render('{% include "wagtail_live/other.html" %}')).toThrow("template not found");
  });
});

describe("in Chromium, a page made of", () => {
  let browser: Browser;
  let client: string;
  const closing: (() => Promise<unknown> | unknown)[] = [];

  beforeAll(async () => {
    [browser, client] = await Promise.all([launchBrowser(), bundle("client/global.ts", "iife")]);
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    while (closing.length > 0) await closing.pop()!();
  });

  test.each([
    ["the guide's own templates", [LIVE_POSTS, '{% include "path/to/publisher.html" %}']],
    ["our includes", [LIVE_POSTS, '{% include "wagtail_live/websocket/websockets.html" %}']],
  ])("%s shows its posts, and what is published later", async (_, includes) => {
    const store = sqliteStore({ path: ":memory:" });
    const bus = memoryBus();
    const pages = createPagePublisher({ store, bus });
    const hub = createHub({ log: store, bus });
    const server: Server = createServer(async (request, response) => {
      const scripts: Record<string, string> = {
        "/assets/tidings.js": client,
        "/static/path/to/publisher.js": PUBLISHER_JS,
      };
      const script = scripts[request.url!];
      if (script !== undefined) return response.setHeader("Content-Type", "text/javascript").end(script);
      const html = env.render("live.html", { page: await store.viewPage("finals") });
      response.setHeader("Content-Type", "text/html; charset=utf-8").end(html);
    });
    const detach = attachWebSocket(server, hub);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const serverPort = (server.address() as AddressInfo).port;
    const env = addTidings(new nunjucks.Environment(templates(includes)), {
      serverHost: "127.0.0.1",
      serverPort,
    });
    const tab = await browser.newPage();
    closing.push(
      () => store.close(),
      () => bus.close(),
      () => server.close(),
      () => server.closeAllConnections(),
      detach,
      () => hub.close(),
      () => tab.close(),
    );

    await pages.createPage({ channelId: "finals", title: "The finals" });
    await pages.createPost("finals", { content: parseBlocks([{ type: "text", value: "Kick-off" }]) });
    await tab.goto(`http://127.0.0.1:${serverPort}/`);
    await tab.waitForSelector("#live-posts[data-live-state=live]");
    await pages.createPost("finals", { content: parseBlocks([{ type: "text", value: "Goal!" }]) });
    await tab.waitForFunction(() => document.querySelectorAll(".live-post").length === 2);
    expect(await tab.locator(".live-post-content").allTextContents()).toEqual(["Goal!", "Kick-off"]);
  });
});
