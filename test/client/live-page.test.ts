import type { ServerResponse } from "node:http";
import type { Browser, Page as Tab } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { attachWebSocket } from "../../src/adapters/node.ts";
import type { LivePageElement } from "../../src/client/live-page.ts";
import { bundle } from "../app/reader-site.ts";
import { launchBrowser } from "../support/browser.ts";
import { type OwnSite, startOwnSite } from "../support/own-site.ts";
import { png } from "../support/png.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let browser: Browser;
/** A site that has nothing to do with the server, but that its pages may read there. */
let site: OwnSite;
/** A site with the server's hub in it. */
let own: OwnSite;
let server: TestServer;
let tab: Tab;
let script: string;
/** What the page wrote as errors. */
let complaints: string[];
let channel: string;
let count = 0;

beforeAll(async () => {
  [browser, site, own, script] = await Promise.all([
    launchBrowser(),
    startOwnSite(),
    startOwnSite(),
    bundle("client/live-page.ts", "iife"),
  ]);
  server = await startTestServer({ origins: ["own", site.url], trustedHtml: true });
  attachWebSocket(own.server, server.hub);
});
afterAll(async () => {
  await browser.close();
  await server.close();
  await Promise.all([site.close(), own.close()]);
});
beforeEach(async () => {
  for (const { files } of [site, own]) files.set("/live-page.js", script);
  tab = await browser.newPage();
  complaints = [];
  tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  tab.on("pageerror", (error) => complaints.push(error.message));
  channel = await newPage("first");
});
afterEach(() => tab.close());

/** A page on the server with these posts, oldest first. */
async function newPage(...posts: string[]): Promise<string> {
  const channelId = `page-${++count}`;
  await server.api("POST", "/api/pages", { channelId, title: `Title of ${channelId}` });
  for (const value of posts) await post(value, channelId);
  return channelId;
}

async function post(value: string, channelId = channel): Promise<string> {
  const { json } = await server.api("POST", `/api/pages/${channelId}/posts`, text(value));
  return `/api/pages/${channelId}/posts/${json.id}`;
}

async function postHtml(value: string): Promise<void> {
  await server.api("POST", `/api/pages/${channel}/posts`, { content: [{ type: "html", value }] });
}

const srcOf = (channelId: string) => `${server.url}/live/${channelId}/`;

/** The list of posts that the server renders. */
async function listOf(channelId: string): Promise<string> {
  const html = await (await fetch(srcOf(channelId))).text();
  return /<div id="live-posts"[\s\S]*?<\/div>\n<\/div>|<div id="live-posts"[^>]*>\n<\/div>/.exec(html)![0];
}

const HEAD = `<!doctype html><meta charset="utf-8"><title>Site</title>
<script>
  told = [];
  for (const type of ["live-update", "live-state"]) document.addEventListener(type, ({ target, detail }) => {
    const texts = (posts) => posts.map((post) => post.querySelector(".live-post-content").textContent);
    told.push([target.id, type === "live-state" ? detail :
      { added: texts(detail.added), changed: texts(detail.changed), removed: detail.removed.length }]);
  });
</script>
<script src="/live-page.js"></script>`;

/** Opens a page of the site. */
async function open(body: string, at = site): Promise<void> {
  at.files.set("/", `${HEAD}<body>${body}`);
  await tab.goto(at.url);
}

/** A resync waits for up to two seconds. */
const PATIENCE = { timeout: 10_000 };
const shown = (selector = "live-page") =>
  tab.locator(`${selector} .live-post-wrapper:not([hidden]) .live-post-content`).allTextContents();
const shows = (...texts: string[]) => expect.poll(() => shown(), PATIENCE).toEqual(texts);
const told = () => tab.evaluate("told") as Promise<[string, unknown][]>;
const stateIs = (state: string, selector = "live-page") =>
  expect
    .poll(() => tab.locator(selector).evaluate((element: LivePageElement) => element.state), PATIENCE)
    .toBe(state);
/** Readers on the page, and no others: connections that were left are gone. */
const readers = (n: number) => expect.poll(() => server.hub.stats().readers).toBe(n);

describe("with the list of posts inside", () => {
  test("follows it on its own server, and tells what happens", async () => {
    await open(`<live-page id="live"><h2>Live</h2>${await listOf(channel)}</live-page>`, own);
    await stateIs("live");
    const second = await post("second");
    await shows("second", "first");
    await server.api("PATCH", second, text("edited"));
    await shows("edited", "first");
    await server.api("PATCH", second, { show: false });
    await shows("first");
    await server.api("PATCH", second, { show: true });
    await shows("edited", "first");
    await server.api("DELETE", second);
    await shows("first");
    expect(await tab.locator("live-page > h2").textContent()).toBe("Live");
    expect(await told()).toEqual([
      ["live", "connecting"],
      ["live", "live"],
      ["live", { added: ["second"], changed: [], removed: 0 }],
      ["live", { added: [], changed: ["edited"], removed: 0 }],
      ["live", { added: [], changed: [], removed: 1 }],
      ["live", { added: ["edited"], changed: [], removed: 0 }],
      ["live", { added: [], changed: [], removed: 1 }],
    ]);
    expect(complaints).toEqual([]);
  });

  test("waits for all of it, however slowly the page comes", async () => {
    channel = await newPage();
    const first = await post("first");
    await post("second");
    const list = await listOf(channel);
    const half = list.indexOf('<div class="live-post-wrapper"', list.indexOf("live-post-wrapper") + 20);
    const src = `src="${srcOf(channel)}"`;
    let rest: ServerResponse | undefined;
    site.files.set("/", (response) => {
      response.write(`${HEAD}<body><live-page ${src}>${list.slice(0, half)}`);
      rest = response;
    });
    const loaded = tab.goto(site.url);
    await tab.locator(".live-post").waitFor({ state: "attached" });
    // Were it followed already, the first post would be changed before it is on the page, and be there twice.
    await post("third");
    await server.api("PATCH", first, text("edited"));
    expect(server.hub.stats().readers).toBe(0);
    rest!.end(`${list.slice(half)}</live-page>`);
    await loaded;
    await shows("third", "second", "edited");
    expect(complaints).toEqual([]);
  });

  test("follows a list that a script puts in later, and one in its place", async () => {
    const other = await newPage("of the other");
    await open("<live-page></live-page>", own);
    await stateIs("offline");
    const put = async (channelId: string) =>
      tab.evaluate(
        (html) => {
          document.querySelector("live-page")!.innerHTML = html;
        },
        await listOf(channelId),
      );
    await put(channel);
    await stateIs("live");
    await post("second");
    await shows("second", "first");
    await put(other);
    await shows("of the other");
    await post("and more", other);
    await shows("and more", "of the other");
    await readers(1);
  });

  test("keeps its connection when it is moved, leaves when it is removed, goes on when it is back", async () => {
    await open(`<live-page id="live">${await listOf(channel)}</live-page><main></main>`, own);
    await stateIs("live");
    await tab.evaluate(
      "element = document.querySelector('live-page'); element.remove(); document.querySelector('main').append(element)",
    );
    await post("second");
    await shows("second", "first");
    await tab.evaluate("element.remove()");
    await readers(0);
    expect(await tab.evaluate("element.state")).toBe("offline");
    await post("third");
    await tab.evaluate("document.body.prepend(element)");
    await shows("third", "second", "first");
    const states = (await told()).map(([, what]) => what).filter((what) => typeof what === "string");
    // "offline" was said where nobody heard it.
    expect(states).toEqual(["connecting", "live", "connecting", "live"]);
    await tab.evaluate("element.remove()");
    await readers(0);
  });

  test("two of them on one page keep to their own posts, also when both are reset", async () => {
    const other = await newPage("of the other");
    const old = async (channelId: string) =>
      (await listOf(channelId)).replace(/data-cursor="[^"]*"/, 'data-cursor="lost.9"');
    const lists = [await listOf(channel), await listOf(other)];
    const body = (a: string, b: string) =>
      `<live-page id="a">${a}</live-page><live-page id="b">${b}</live-page>`;
    let asked = 0;
    await tab.route(`${own.url}/?at=*`, (route) => {
      asked++;
      return route.fulfill({ contentType: "text/html", body: body(lists[0]!, lists[1]!) });
    });
    await open(body(await old(channel), await old(other)), own);
    await stateIs("live", "#a");
    await stateIs("live", "#b");
    await expect.poll(() => asked, PATIENCE).toBe(2);
    await post("second", other);
    await expect.poll(() => shown("#b")).toEqual(["second", "of the other"]);
    await post("second");
    await expect.poll(() => shown("#a")).toEqual(["second", "first"]);
    expect(await shown("#b")).toEqual(["second", "of the other"]);
  });

  test("of an element inside another, each follows its own", async () => {
    const inner = await newPage("inner");
    await open(
      `<live-page id="a"><live-page id="b">${await listOf(inner)}</live-page>${await listOf(channel)}</live-page>`,
      own,
    );
    await stateIs("live", "#a");
    await stateIs("live", "#b");
    await post("second");
    await expect.poll(() => shown("#a > #live-posts")).toEqual(["second", "first"]);
    await post("second", inner);
    await expect.poll(() => shown("#b")).toEqual(["second", "inner"]);
  });
});

describe("with src, on another site", () => {
  const embed = (more = "") =>
    open(`<live-page id="live" src="${srcOf(channel)}"><p>Not loaded yet</p></live-page>${more}`);

  test("shows the page and follows it", async () => {
    await embed();
    await shows("first");
    await stateIs("live");
    const second = await post("second");
    await shows("second", "first");
    await server.api("PATCH", second, text("edited"));
    await shows("edited", "first");
    await server.api("PATCH", second, { show: false });
    await shows("first");
    await server.api("PATCH", second, { show: true });
    await server.api("DELETE", second);
    await shows("first");
    expect(await tab.getByText("Not loaded yet").count()).toBe(0);
    const feed = tab.getByRole("feed", { name: `Title of ${channel}` });
    expect(await feed.getByRole("article").count()).toBe(1);
    expect((await told()).slice(0, 3)).toEqual(
      expect.arrayContaining([
        ["live", "connecting"],
        ["live", { added: ["first"], changed: [], removed: 0 }],
        ["live", "live"],
      ]),
    );
    expect(complaints).toEqual([]);
  });

  test("what is relative in it leads to the page's own site, now and later", async () => {
    const { json: image } = await server.api("POST", "/api/images", png(3, 2), {
      "content-type": "image/png",
    });
    const picture = async () =>
      server.api("POST", `/api/pages/${channel}/posts`, {
        content: [
          { type: "image", value: image.id, alt: "A picture" },
          {
            type: "html",
            value: '<a href="more#all">more</a><a href="#here">here</a><source srcset="a.png, /b,c.png 2x">',
          },
        ],
      });
    await picture();
    await embed();
    await tab.getByAltText("A picture").waitFor();
    await stateIs("live");
    await picture();
    await expect.poll(() => tab.getByAltText("A picture").count()).toBe(2);
    const seen = () =>
      tab.evaluate(() => [
        ...[...document.images].map((image) => [image.src, image.naturalWidth]),
        ...[...document.links].map((link) => link.getAttribute("href")),
      ]);
    const sets = () =>
      tab.locator("source").evaluateAll((all) => all.map((source) => source.getAttribute("srcset")));
    const set = `${srcOf(channel)}a.png, ${server.url}/b,c.png 2x`;
    expect(await sets()).toEqual([set, set]);
    const src = `${server.url}/images/${image.id}`;
    const links = [`${srcOf(channel)}more#all`, `${srcOf(channel)}#here`];
    await expect.poll(seen).toEqual([[src, 3], [src, 3], ...links, ...links]);
  });

  test("what would run as a script of the site does not, now or later", async () => {
    const attack = (n: number) =>
      `<b>${n}</b><script>hacked = 1</script><img src="/none" onerror="hacked = 2"><a href="java&#9;script:hacked = 3">a</a>
       <iframe src="javascript:parent.hacked = 4"></iframe><iframe srcdoc="<script>parent.hacked = 5</script>"></iframe>
       <svg><a xlink:href="javascript:hacked = 6"><animate attributeName="href" to="javascript:hacked = 7"></animate></a></svg>
       <style>body { display: none }</style><live-page src="/live/welcome/"></live-page><x-probe onclick="hacked = 8"></x-probe>`;
    await postHtml(attack(1));
    // Elements of the site do not come to life.
    await tab.addInitScript(() => {
      const probed: unknown[] = [];
      class Probe extends HTMLElement {
        connectedCallback() {
          probed.push(this.getAttribute("onclick"));
        }
      }
      customElements.define("x-probe", Probe);
      Object.assign(window, { probed });
    });
    await embed();
    await stateIs("live");
    await postHtml(attack(2));
    await expect.poll(() => tab.locator("b").allTextContents()).toEqual(["2", "1"]);
    for (const link of await tab.locator("live-page a").all()) await link.dispatchEvent("click");
    // What failed to load would have called its handler by now.
    await expect
      .poll(() => tab.evaluate(() => [...document.images].every((image) => image.complete)))
      .toBe(true);
    expect(await tab.evaluate("typeof hacked")).toBe("undefined");
    expect(await tab.evaluate("probed")).toEqual([]);
    const left =
      "script, style, svg, iframe, x-probe, live-page live-page, [srcdoc], [onerror], [src^=java], a[href]";
    expect(await tab.locator(`live-page :is(${left})`).count()).toBe(0);
    expect(await tab.locator("body").isVisible()).toBe(true);
  });

  /** Opens the site with a page in it from a server that is bent on no good: its list, and the frame that it sends. */
  async function embedForeign(
    list: string,
    live: string,
    check: (asked: string[], url: string) => Promise<void>,
  ): Promise<void> {
    const foreign = await startOwnSite();
    const fill = (html: string) => html.replaceAll("EVIL", foreign.url);
    const asked: string[] = [];
    foreign.server.on("request", ({ url }) => asked.push(url!));
    foreign.files.set("/live/p/", (response) => {
      response.setHeader("Access-Control-Allow-Origin", "*");
      response.end(`<!doctype html><title>p</title>${fill(list)}`);
    });
    const sockets = new WebSocketServer({ server: foreign.server });
    sockets.on("connection", (socket) => {
      const renders = { live: { show: true, at: 9, content: fill(live) } };
      socket.send(JSON.stringify({ renders, removals: [], cursor: "e.9" }));
    });
    try {
      await open(`<button id="own">ours</button><live-page src="${foreign.url}/live/p/"></live-page>`);
      await tab.locator('[data-post-id="live"]').waitFor({ state: "attached" });
      await check(asked, foreign.url);
    } finally {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      await foreign.close();
    }
  }
  const foreignList = (post: string, attributes = "") =>
    `<div data-channel-id="p" data-cursor="e.1" ${attributes}><div class="live-post-wrapper" data-at="1">${post}</div></div>`;

  test.each([
    ["base", 'base ROOT href="EVIL/"'],
    ["meta", 'meta ROOT http-equiv="refresh" content="0;url=EVIL/hit"'],
    ["link", 'link ROOT rel="stylesheet" href="EVIL/hit"'],
    ["script", 'script ROOT src="EVIL/hit"'],
    ["style", "style ROOT"],
    ["img", 'img ROOT src="/none" onerror="hacked = 1"'],
    ["iframe with a document", 'iframe ROOT srcdoc="<script>parent.hacked = 1</script>"'],
    ["iframe with a script", 'iframe ROOT src="javascript:parent.hacked = 1"'],
    ["object", 'object ROOT data="EVIL/hit"'],
    ["embed", 'embed ROOT src="EVIL/hit"'],
    ["element of the site", 'x-probe ROOT onclick="hacked = 1"'],
    ["live-page", 'live-page ROOT src="EVIL/live/p/"'],
    ["svg", 'svg ROOT onload="hacked = 1"'],
    ["form", 'form ROOT id="own" action="EVIL/hit" style="position: fixed"'],
    ["article", 'article ROOT id="own" onclick="hacked = 1" style="position: fixed"'],
  ])("neither a post nor a list is itself the %s that it was", async (_name, tag) => {
    const element = (root: string) => `<${tag.replace("ROOT", root)}></${tag.split(" ")[0]}>`;
    const post = (id: string) => element(`class="live-post" data-post-id="${id}"`);
    const list = element('data-channel-id="p" data-cursor="e.1"');
    site.files.set("/later.js", "later = origin");
    await tab.addInitScript(() => customElements.define("x-probe", class extends HTMLElement {}));
    for (const page of [foreignList(post("first")), list]) {
      await embedForeign(page, post("live"), async (asked, url) => {
        const parts = await tab
          .locator("live-page, live-page *")
          .evaluateAll((all) =>
            all.flatMap((part) => [part.localName, ...part.getAttributeNames().map((name) => `@${name}`)]),
          );
        const ours = ["live-page", "div", "article", "img"].concat(
          ["src", "class", "role", "aria-label", "data-channel-id", "data-cursor", "data-live-state"].map(
            (name) => `@${name}`,
          ),
          ["@data-post-id", "@data-at"],
        );
        expect(ours).toEqual(expect.arrayContaining(parts));
        // A script that the site loads later is its own.
        const loaded = tab.evaluate(() =>
          new Promise((resolve) => {
            const script = document.createElement("script");
            script.onload = script.onerror = resolve;
            script.src = "later.js";
            document.head.append(script);
          }).then(() => (window as unknown as { later: string }).later),
        );
        expect(await loaded).toBe(site.url);
        expect(await tab.evaluate("[document.baseURI, typeof hacked, own.localName]")).toEqual([
          `${site.url}/`,
          "undefined",
          "button",
        ]);
        expect(tab.url()).toBe(`${site.url}/`);
        expect(asked.filter((path) => path !== "/live/p/" && path !== "/none")).toEqual([]);
        expect(url).not.toBe(site.url);
      });
    }
  });

  test("what is not allowed does not come along: forms, styles, ids, orders to scripts, frames of the site", async () => {
    await tab.route("https://player.example/**", (route) =>
      route.fulfill({ contentType: "text/html", body: "player" }),
    );
    const content = `<button id="config" form="login" formaction="EVIL/hit" style="position:fixed;inset:0">ok</button>
<form action="EVIL/hit" name="login"><label>Name <input name="password"></label></form>
<a href="tel:1" target="own" ping="EVIL/hit" id="x" name="y" data-hx-get="/" class="kept" accesskey="s">tel</a>
<a href="data:text/html,x">data</a><a href="http:logout">relative</a><font color="red">red</font><!-- no -->
<iframe sandbox="allow-top-navigation allow-scripts" allow="camera; fullscreen;" src="https://player.example/a"></iframe>
<iframe src="https://player.example/b" referrerpolicy="unsafe-url" name="z"></iframe>
<iframe sandbox="allow-scripts allow-same-origin" src="${site.url}/"></iframe><iframe sandbox src="data:text/html,x"></iframe>`;
    const post = (id: string) => `<article class="live-post" data-post-id="${id}">${content}</article>`;
    await embedForeign(
      foreignList(post("first"), 'style="position:fixed" id="x"'),
      post("live"),
      async (_, url) => {
        const fit = `ok

<a href="tel:1" class="kept">tel</a>
<a>data</a><a href="${url}/live/p/logout">relative</a>red
<iframe sandbox="allow-scripts" allow="fullscreen;" src="https://player.example/a"></iframe>

`;
        const inside = await tab
          .locator("live-page .live-post")
          .evaluateAll((all) => all.map((e) => e.innerHTML));
        expect(inside).toEqual([fit, fit]);
        expect(
          await tab.locator("live-page > *").evaluate((list) => list.getAttributeNames().sort()),
        ).toEqual(["aria-label", "data-channel-id", "data-cursor", "data-live-state", "role"]);
      },
    );
  });

  test.each([
    "attributes",
    "childNodes",
    "localName",
    "classList",
    "dataset",
    "nextSibling",
    "querySelectorAll",
  ])("a form whose fields hide its %s neither runs nor stops the page", async (name) => {
    const form = (root: string) =>
      `<form ${root} onfocusin="hacked = 1" onanimationstart="hacked = 2" tabindex="0"><input name="${name}"><input name="${name}" autofocus></form>`;
    const post = (id: string) =>
      `<article class="live-post" data-post-id="${id}"><p>text</p>${form("")}</article>`;
    const root = form('class="live-post" data-post-id="live"');
    for (const live of [post("live"), root]) {
      await embedForeign(foreignList(post("first")), live, async () => {
        expect(await tab.locator("live-page form").count()).toBe(0);
        expect(await tab.locator("live-page p").count()).toBe(live === root ? 1 : 2);
        expect(await tab.evaluate("typeof hacked")).toBe("undefined");
      });
    }
  });

  test("no class of the site's lets a post lie over the rest of the page", async () => {
    const post = `<article class="live-post" data-post-id="live"><a class="cover" href="EVIL/hit">here</a></article>`;
    await embedForeign(foreignList(""), post, async () => {
      await tab.addStyleTag({
        content: ".cover { position: fixed; inset: 0 } live-page { margin-top: 5rem }",
      });
      const onTop = (selector: string) =>
        tab.locator(selector).evaluate((element) => {
          const { x, y, width, height } = element.getBoundingClientRect();
          return document.elementFromPoint(x + width / 2, y + height / 2) === element;
        });
      expect(await onTop("#own")).toBe(true);
    });
  });

  test("all that Tidings renders comes through as it is", async () => {
    await tab.route(/^https:\/\/(www\.youtube-nocookie\.com|pictures\.example)\//, (route) =>
      route.fulfill({ contentType: "text/html", body: "" }),
    );
    const { json } = await server.api("POST", `/api/pages/${channel}/posts`, {
      content: [
        { type: "text", value: "One\nhttps://example.org/\n\nTwo" },
        {
          type: "html",
          value: `<h2>H</h2><p lang="de" dir="ltr"><strong>b</strong><em>e</em><u>u</u><s>s</s><sub>1</sub><sup>2</sup><code>c</code><br></p><hr>
<blockquote>q</blockquote><pre>p</pre><ul><li>1</li></ul><ol start="3" reversed=""><li>2</li></ol><details open=""><summary>s</summary>d</details>
<table><caption>c</caption><thead><tr><th scope="col" colspan="2">h</th></tr></thead><tbody><tr><td rowspan="1">d</td></tr></tbody></table>`,
        },
        { type: "image", value: "https://pictures.example/1.png", alt: "alt", width: 3, height: 2 },
        { type: "embed", value: "https://youtu.be/dQw4w9WgXcQ" },
        { type: "embed", value: "https://example.org/a" },
      ],
    });
    await server.api("PATCH", `/api/pages/${channel}/posts/${json.id}`, { created: 0 });
    await embed();
    const post = tab.locator(`[data-post-id="${json.id}"]`);
    await post.waitFor();
    const rendered = await tab.evaluate(
      ([html, id]) =>
        new DOMParser().parseFromString(html!, "text/html").querySelector(`[data-post-id="${id}"]`)!
          .outerHTML,
      [await (await fetch(srcOf(channel))).text(), json.id],
    );
    expect(rendered).toContain("allow-same-origin");
    expect(await post.evaluate((element) => element.outerHTML)).toBe(rendered);
  });

  test("an update is shown without a search through all posts", async () => {
    await embed();
    await stateIs("live");
    await tab.evaluate(() => {
      const element = document.querySelector("live-page")!;
      const { querySelectorAll } = element;
      Object.assign(window, { searches: 0 });
      element.querySelectorAll = (selector: string) => {
        (window as unknown as { searches: number }).searches++;
        return querySelectorAll.call(element, selector);
      };
    });
    await post("second");
    await shows("second", "first");
    expect(await tab.evaluate("searches")).toBe(0);
  });

  test("catches up from the page's own HTML when its cursor does not hold", async () => {
    let first = true;
    const asked: string[] = [];
    await tab.route(`${srcOf(channel)}**`, async (route) => {
      asked.push(new URL(route.request().url()).search);
      const response = await route.fetch({ headers: { ...route.request().headers(), origin: site.url } });
      let body = (await response.text()).replace('id="live-posts"', 'id="posts"');
      if (first) {
        body = body.replace(/data-cursor="[^"]*"/, 'data-cursor="lost.9"').replace(">first<", ">taken back<");
      }
      first = false;
      await route.fulfill({ response, body });
    });
    // The list loses its id to what the site has already.
    await embed('<p id="posts"></p>');
    await shows("first");
    await stateIs("live");
    expect(asked[0]).toBe("");
    expect(asked[1]).toMatch(/^\?at=/);
    await post("second");
    await shows("second", "first");
    expect(complaints).toEqual([]);
  });

  test("leaves what is inside where this origin may not read, and says what to do", async () => {
    const closed = await startTestServer();
    try {
      await open(`<live-page src="${closed.url}/live/welcome/"><p>Not loaded yet</p></live-page>`);
      await stateIs("waiting");
      const ours = complaints.filter((complaint) => complaint.startsWith("[tidings]"));
      expect(ours).toEqual([
        `[tidings] [live-page] cannot show ${closed.url}/live/welcome/: TypeError: Failed to fetch; ` +
          `if its server is up, TIDINGS_ORIGINS there must name ${site.url}`,
      ]);
      expect(await tab.getByText("Not loaded yet").isVisible()).toBe(true);
    } finally {
      await closed.close();
    }
  });

  test("tries again until the server is there", async () => {
    let isDown = true;
    await tab.route(`${srcOf(channel)}**`, (route) => (isDown ? route.abort() : route.continue()));
    await embed();
    await stateIs("waiting");
    expect(await tab.getByText("Not loaded yet").isVisible()).toBe(true);
    isDown = false;
    await shows("first");
    await stateIs("live");
    expect(complaints.filter((complaint) => complaint.startsWith("[tidings]"))).toHaveLength(1);
  });

  test("gives up on a page that is gone", async () => {
    channel = "no-such-page";
    await embed();
    await expect.poll(() => complaints.join()).toContain(`cannot show ${srcOf(channel)}: 404`);
    await stateIs("offline");
    expect(await tab.getByText("Not loaded yet").isVisible()).toBe(true);
  });

  test("goes to another page when src changes; meanwhile, what was inside is back", async () => {
    const other = await newPage("of the other");
    await embed();
    await stateIs("live");
    let isDown = true;
    await tab.route(`${srcOf(other)}**`, (route) => (isDown ? route.abort() : route.continue()));
    const goTo = (src: string) =>
      tab.evaluate((src) => {
        document.querySelector("live-page")!.src = src;
      }, src);
    await goTo(srcOf(other));
    await tab.getByText("Not loaded yet").waitFor();
    await readers(0);
    isDown = false;
    await shows("of the other");
    await post("more", other);
    await shows("more", "of the other");
    await goTo(srcOf(channel));
    await shows("first");
    await readers(1);
    await tab.evaluate("document.querySelector('live-page').removeAttribute('src')");
    await tab.getByText("Not loaded yet").waitFor();
    await stateIs("offline");
    await readers(0);
  });

  test("goes on from where it was when it is taken out and put back", async () => {
    await embed();
    await stateIs("live");
    await tab.evaluate("element = document.querySelector('live-page'); element.remove()");
    await readers(0);
    await post("second");
    let fetched = 0;
    tab.on("request", (request) => {
      if (request.url().startsWith(srcOf(channel))) fetched++;
    });
    await tab.evaluate("document.body.append(element)");
    await shows("second", "first");
    expect(fetched).toBe(0);
  });

  test("two of them, and a list of the site's own, each with its posts and one id", async () => {
    const other = await newPage("of the other");
    await embed(`<div id="live-posts">ours</div><live-page id="b" src="${srcOf(other)}"></live-page>`);
    await expect.poll(() => shown("#live")).toEqual(["first"]);
    await expect.poll(() => shown("#b")).toEqual(["of the other"]);
    expect(await tab.locator("#live-posts").count()).toBe(1);
    await post("more", other);
    await expect.poll(() => shown("#b")).toEqual(["more", "of the other"]);
    expect(await shown("#live")).toEqual(["first"]);
  });

  test("of its own origin, leaves scripts in the posts alone", async () => {
    await postHtml('<a href="more" onclick="clicked = 1">more</a>');
    own.files.set("/page/", await listOf(channel));
    await open('<live-page src="/page/"></live-page>', own);
    await stateIs("live");
    const link = tab.getByRole("link", { name: "more" });
    expect(await link.getAttribute("href")).toBe(`${own.url}/page/more`);
    expect(await link.getAttribute("onclick")).toBe("clicked = 1");
    await post("third");
    await expect.poll(() => shown()).toEqual(["third", "more", "first"]);
  });

  test("asks no more of the site's content security policy than is documented", async () => {
    const policy = `default-src 'none'; script-src 'self' 'unsafe-inline'; connect-src ${server.url} ${server.url.replace("http", "ws")}; img-src ${server.url}`;
    await embed();
    site.files.set(
      "/csp",
      `<meta http-equiv="Content-Security-Policy" content="${policy}">${site.files.get("/")}`,
    );
    await tab.goto(`${site.url}/csp`);
    await stateIs("live");
    expect(await tab.locator("live-page").evaluate((element) => getComputedStyle(element).display)).toBe(
      "block",
    );
    expect(complaints).toEqual([]);
  });

  test("follows what the site's own server rendered into it", async () => {
    const list = await listOf(channel);
    await post("second");
    await open(`<live-page src="${srcOf(channel)}">${list}</live-page>`);
    await shows("second", "first");
    await stateIs("live");
  });

  test("makes fit what the site's own server rendered into it, and leaves alone what is", async () => {
    const list = await listOf(channel);
    const unfit =
      '<div class="live-post-wrapper" data-at="1"><b class="live-post" data-post-id="x" onclick="no">x</b></div>';
    site.files.set("/wait.js", "first = document.querySelector('.live-post')");
    await open(
      `<live-page src="${srcOf(channel)}">${list.replace(/<\/div>$/, `${unfit}</div>`)}</live-page><script src="/wait.js"></script>`,
    );
    await stateIs("live");
    expect(await tab.evaluate("first === document.querySelector('.live-post')")).toBe(true);
    expect(await tab.locator('[data-post-id="x"]').evaluate((element) => element.outerHTML)).toBe(
      '<div class="live-post" data-post-id="x"><b class="live-post">x</b></div>',
    );
  });
});

test("its styles give way to any of the site's", async () => {
  await open(`<style>live-page { display: flex }</style><live-page></live-page>`);
  const display = (): Promise<string> =>
    tab.locator("live-page").evaluate((element) => getComputedStyle(element).display);
  expect(await display()).toBe("flex");
  await open("<live-page></live-page>");
  expect(await display()).toBe("block");
});
