import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { build, type Rolldown } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PieSocketPublisher } from "../../src/publishers/piesocket.ts";
import { PusherPublisher } from "../../src/publishers/pusher.ts";
import { launchBrowser } from "../support/browser.ts";
import { APP, answer, type HostedService, startHostedService } from "../support/hosted-service.ts";
import { type OwnSite, startOwnSite } from "../support/own-site.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";
import { stopClock } from "./site.ts";

// A page of another site in a real browser, the whole server, and between them a service that speaks the protocols.

const SERVICES = [
  {
    name: "Pusher",
    make: () => new PusherPublisher({ url: service.pusherUrl, patienceMs: 500 }),
    follow: () =>
      `new PusherWebsocketPublisher("${server.url}", { service: "ws://${service.host}", key: "${APP.key}" })`,
  },
  {
    name: "PieSocket",
    make: () => {
      const endpoint = `ws://${service.host}/v3/`;
      return new PieSocketPublisher({ apiKey: APP.key, secret: APP.secret, endpoint, patienceMs: 500 });
    },
    follow: () =>
      `new PieSocketWebsocketPublisher("${server.url}", { service: "ws://${service.host}/v3/", key: "${APP.key}" })`,
  },
];

let browser: Browser;
let script: string;
let site: OwnSite;
let service: HostedService;
let server: TestServer;
let page: Page;
let errors: string[];
/** Of `/updates`, by the page. */
let asked: URL[];

beforeAll(async () => {
  [browser, script] = await Promise.all([launchBrowser(), bundle()]);
});
afterAll(() => browser.close());

describe.each(SERVICES)("through $name", ({ name, make, follow }) => {
  beforeEach(async () => {
    [site, service] = await Promise.all([startOwnSite(), startHostedService()]);
    server = await startTestServer({ origins: ["*"], publisher: make() });
    site.files.set("/hosted.js", script);
    page = await browser.newPage();
    await page.clock.install();
    errors = [];
    asked = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("request", (each) => {
      const url = new URL(each.url());
      if (url.pathname.startsWith("/updates/")) asked.push(url);
    });
    await expect.poll(() => service.taken.length).toBe(1);
  });
  afterEach(async () => {
    await page.close();
    await server.close();
    await Promise.all([service.close(), site.close()]);
    expect(errors).toEqual([]);
  });

  const post = async (value: string): Promise<string> => {
    const { json } = await server.api("POST", "/api/pages/welcome/posts", text(value));
    return `/api/pages/welcome/posts/${json.id}`;
  };
  /** The list of posts that the server renders now, with its cursor. */
  const rendered = async (): Promise<string> => {
    const html = await (await fetch(`${server.url}/live/welcome/`)).text();
    return /<div id="live-posts"[\s\S]*?<\/div>\n<\/div>/.exec(html)![0];
  };
  const open = async (list: string) => {
    const start = `<script src="/hosted.js"></script><script>live = ${follow()}; live.start()</script>`;
    site.files.set("/", `<!doctype html><meta charset="utf-8">${list}${start}`);
    await page.goto(site.url);
    await expect.poll(() => service.readers("welcome").length).toBe(1);
  };
  const texts = () => page.locator(".live-post-wrapper:not([hidden]) .live-post-content").allInnerTexts();
  const shows = (...wanted: string[]) =>
    expect.poll(async () => (await texts()).slice(0, wanted.length), { timeout: 15_000 }).toEqual(wanted);
  const answered = (n: number) => expect.poll(() => asked.length, { timeout: 10_000 }).toBe(n);
  /** Lets the page's time pass, a second at once, until `value` gives what is wanted. */
  const inTime = (value: () => unknown, wanted: unknown) =>
    expect
      .poll(
        async () => {
          await page.clock.fastForward(1_000);
          return value();
        },
        { timeout: 20_000, interval: 10 },
      )
      .toBe(wanted);

  test("a page shows what is posted, changed and removed, and asks the server once", async () => {
    await open(await rendered());
    await answered(1);
    const first = await post("first");
    await post("second");
    await shows("second", "first");
    await server.api("PATCH", first, text("changed"));
    await shows("second", "changed");
    await server.api("DELETE", first);
    await expect.poll(texts).not.toContain("changed");
    expect(await page.evaluate("live.state")).toBe("live");
    expect(asked).toHaveLength(1);
  });

  test("what was posted between the page's HTML and its joining is there at once", async () => {
    const old = await rendered();
    await post("meanwhile");
    await open(old);
    await shows("meanwhile");
  });

  test("what the service lost is made up for with the next update", async () => {
    await open(await rendered());
    await answered(1);
    await post("first");
    await shows("first");
    service.lose = 1;
    await post("lost");
    await post("third");
    await expect.poll(() => service.taken.length).toBe(4);
    await inTime(() => asked.length, 2);
    await shows("third", "lost", "first");
    await post("fourth");
    await shows("fourth", "third", "lost");
    expect(asked).toHaveLength(2);
  });

  test("a lost last one is found within the minute, and a connection that brings nothing is left", async () => {
    await open(await rendered());
    await answered(1);
    service.lose = 1;
    await post("lost");
    await inTime(() => asked.length, 2);
    await shows("lost");
    // The service did not bring it: no more is expected of this connection.
    const [before] = service.readers("welcome");
    await inTime(() => before!.readyState, before!.CLOSED);
    await expect.poll(() => service.readers("welcome").length).toBe(1);
    await post("after");
    await shows("after", "lost");
  });

  test("after a lost connection the page has what was posted meanwhile", async () => {
    await open(await rendered());
    await answered(1);
    await post("first");
    await shows("first");
    await stopClock(page);
    service.cut();
    await expect.poll(() => page.evaluate("live.state")).toBe("waiting");
    await post("meanwhile");
    await expect.poll(() => service.taken.length).toBe(3);
    await page.clock.resume();
    await shows("meanwhile", "first");
    await post("after");
    await shows("after", "meanwhile", "first");
  });

  test("while the service cannot be joined, the page has the posts from the server", async () => {
    await open(await rendered());
    await answered(1);
    await service.close();
    await post("first");
    await inTime(async () => (await texts())[0], "first");
    await post("second");
    await inTime(async () => (await texts())[0], "second");
    service = await startHostedService(Number(service.host.split(":")[1]));
    await inTime(() => service.readers("welcome").length, 1);
    await post("third");
    await shows("third", "second", "first");
  });

  test("what comes twice, or late, is shown once, and goes back to no older version", async () => {
    await open(await rendered());
    await answered(1);
    const first = await post("first");
    await shows("first");
    await server.api("PATCH", first, text("changed"));
    await shows("changed");
    const [, old, young] = service.taken;
    const [reader] = service.readers("welcome");
    for (const { message } of [young!, old!, old!]) {
      const event = JSON.stringify({ event: "update", channel: "welcome", data: message });
      reader!.send(name === "Pusher" ? event : message);
    }
    await post("second");
    await shows("second", "changed");
    expect(await texts()).not.toContain("first");
    expect(asked).toHaveLength(1);
  });

  test("an update of another epoch is not believed: the server is asked", async () => {
    await open(await rendered());
    await answered(1);
    await post("first");
    await shows("first");
    const { renders } = JSON.parse(service.taken[1]!.message);
    const message = JSON.stringify({ renders: {}, removals: Object.keys(renders), cursor: "another.3" });
    const event = JSON.stringify({ event: "update", channel: "welcome", data: message });
    service.readers("welcome")[0]!.send(name === "Pusher" ? event : message);
    await inTime(() => asked.length > 1, true);
    await post("second");
    await shows("second", "first");
  });

  test("an update that is too large for the service comes from the server", async () => {
    await open(await rendered());
    await answered(1);
    // Of Pusher's limit we know.
    if (name === "PieSocket") service.mishaps.push(answer(413));
    await post("x".repeat(20_000));
    await expect.poll(() => service.taken.length).toBe(2);
    await inTime(() => asked.length, 2);
    await shows("x".repeat(20_000));
    await post("after");
    await shows("after");
  });

  test("a page without a cursor shows what comes, from then on", async () => {
    await open((await rendered()).replace(/ data-cursor="[^"]*"/, ""));
    await expect.poll(() => page.evaluate("live.state")).toBe("live");
    await post("first");
    await post("second");
    await shows("second", "first");
    expect(asked).toEqual([]);
  });
});

describe("Pusher's words", () => {
  beforeEach(async () => {
    [site, service, page] = await Promise.all([startOwnSite(), startHostedService(), browser.newPage()]);
    site.files.set("/hosted.js", script);
  });
  afterEach(async () => {
    await page.close();
    await Promise.all([service.close(), site.close()]);
  });

  const open = async (channelId: string, key: string) => {
    const options = `{ service: "ws://${service.host}", key: "${key}" }`;
    site.files.set(
      "/",
      `<!doctype html><meta charset="utf-8"><div id="live-posts" data-channel-id="${channelId}"></div>
<script src="/hosted.js"></script><script>new PusherWebsocketPublisher("x", ${options}).start()</script>`,
    );
    await page.goto(site.url);
  };

  test("a ping is answered", async () => {
    await open("été", APP.key);
    await expect.poll(() => service.readers("=C3=A9t=C3=A9").length).toBe(1);
    service.readers("=C3=A9t=C3=A9")[0]!.send(JSON.stringify({ event: "pusher:ping", data: "{}" }));
    await expect.poll(() => service.heard.map((each) => JSON.parse(each).event)).toContain("pusher:pong");
  });

  test("an error is reported: a key that it does not know", async () => {
    const reported = page.waitForEvent("pageerror");
    await open("finals", "wrong");
    expect((await reported).message).toContain("App key wrong not in this cluster");
  });
});

/** The script as the browser gets it. */
async function bundle(): Promise<string> {
  const input = fileURLToPath(new URL("../../src/client/hosted-global.ts", import.meta.url));
  const rolldownOptions = { input, output: { format: "iife" as const } };
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, rolldownOptions },
  });
  return (built as Rolldown.RolldownOutput).output[0].code;
}
