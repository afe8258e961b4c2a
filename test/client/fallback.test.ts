import type { Browser, Page, Route } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { type Kind, type Middlebox, middlebox } from "../support/middlebox.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let browser: Browser;
let server: TestServer;
let network: Middlebox;
let page: Page;
let published = 0;

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());

beforeEach(async () => {
  server = await startTestServer();
  network = await middlebox(server.url);
  published = 0;
  await server.api("POST", "/api/pages", { channelId: "finals", title: "Finals" });
  page = await (await browser.newContext()).newPage();
  await page.clock.install();
});
afterEach(async () => {
  await page.context().close();
  await network.close();
  await server.close();
});

const publish = async () => {
  const answer = await server.api("POST", "/api/pages/finals/posts", text(`post ${++published}`));
  expect(answer.status).toBe(201);
};

/** The page of `tidings serve`, read through the network. Counts what it is told was added. */
async function read(): Promise<void> {
  await page.addInitScript(() => {
    const added = new Map<string, number>();
    Object.assign(window, { added });
    new MutationObserver((records) => {
      for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
        const id =
          node instanceof HTMLElement && node.querySelector<HTMLElement>("[data-post-id]")?.dataset.postId;
        if (id && node.parentElement?.id === "live-posts") added.set(id, (added.get(id) ?? 0) + 1);
      }
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${network.url}/live/finals/`);
}

const shown = () => page.locator("#live-posts .live-post").allTextContents();

/** Waits until the page shows what the store holds, each post once. */
async function equal(): Promise<void> {
  const { items } = (await server.api("GET", "/api/pages/finals/posts?limit=200")).json;
  expect(items.length).toBe(Math.min(published, 200));
  await expect.poll(async () => (await shown()).length, { timeout: 20_000 }).toBe(published);
  const texts = (await shown()).map((each) => /post \d+/.exec(each)?.[0]);
  expect(texts).toEqual(Array.from({ length: published }, (_, n) => `post ${published - n}`));
  const twice = await page.evaluate(() =>
    [...(window as never as { added: Map<string, number> }).added].filter(([, times]) => times > 1),
  );
  expect(twice).toEqual([]);
}

/** Waits until it reads over this, and over nothing else. */
async function over(kind: Kind): Promise<void> {
  const asked = network.asked("updates");
  // Answers that come at once are open for a moment only: then it shows that there are more and more of them.
  const open = () => [
    network.open("ws"),
    network.open("sse"),
    Math.max(network.open("updates"), kind === "updates" && network.asked("updates") > asked ? 1 : 0),
  ];
  const wanted = { ws: [1, 0, 0], sse: [0, 1, 0], updates: [0, 0, 1] }[kind];
  await expect.poll(open, { timeout: 25_000 }).toEqual(wanted);
}

/**
 * Lets the page's clock leap until something is so. After each leap there is a second for what it has set off: a further
 * leap, on top of a connection that is being made, would be the end of the patience with it.
 */
async function leapUntil(isSo: () => boolean, ms: number): Promise<void> {
  const leap = async () => {
    if (isSo()) return true;
    await page.clock.fastForward(ms);
    for (let n = 0; n < 20 && !isSo(); n++) await new Promise((resolve) => setTimeout(resolve, 50));
    return isSo();
  };
  await expect.poll(leap, { timeout: 60_000, interval: 0 }).toBe(true);
}

function setHidden(hidden: boolean): Promise<void> {
  return page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

/** Lets the page's clock run until it has tried a better way, and that works. */
const climbTo = (kind: Kind) => leapUntil(() => network.open(kind) === 1, 25_000);

describe("while posts flow", () => {
  test("WebSocket blocked, SSE blocked, both, and unblocked again: the page equals the store, no post twice", async () => {
    let isFlowing = true;
    let isPaused = false;
    const flowing = (async () => {
      while (isFlowing) {
        if (!isPaused) await publish();
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    })();
    const step = async (name: string, kind: Kind) => {
      await over(kind).catch((error) => {
        throw new Error(`${name}: not over ${kind}`, { cause: error });
      });
      isPaused = true;
      await new Promise((resolve) => setTimeout(resolve, 200));
      await equal();
      isPaused = false;
    };
    try {
      await read();
      await step("as it is", "ws");
      network.obstruct("ws", "refused");
      await step("WebSocket blocked", "sse");
      network.obstruct("sse", "refused");
      await step("both blocked", "updates");
      network.clear("ws");
      await climbTo("ws");
      await step("SSE blocked", "ws");
      network.obstruct("ws", "refused");
      await step("both blocked again", "updates");
      network.clear("sse");
      await climbTo("sse");
      await step("SSE unblocked", "sse");
      network.clear("ws");
      await climbTo("ws");
      await step("all unblocked", "ws");
    } finally {
      isFlowing = false;
      await flowing;
    }
    await equal();
  }, 180_000);
});

describe("finds its way", () => {
  test("past an upgrade that is never answered", async () => {
    network.obstruct("ws", "hanging");
    await read();
    await expect.poll(() => network.asked("ws")).toBe(1);
    await page.clock.fastForward(10_500);
    await page.clock.fastForward(2_000);
    await over("sse");
    await publish();
    await equal();
  });

  test("past a stream that is held up", async () => {
    network.obstruct("ws", "refused");
    network.obstruct("sse", "held up");
    await read();
    await expect.poll(() => network.asked("sse"), { timeout: 5_000 }).toBe(1);
    await page.clock.fastForward(10_500);
    await page.clock.fastForward(4_000);
    await over("updates");
    await publish();
    await equal();
  });

  test("past a socket that opens and brings nothing", async () => {
    network.obstruct("ws", "held up");
    await read();
    await page.waitForSelector("#live-posts[data-live-state=live]", { state: "attached" });
    await publish();
    await page.clock.fastForward(41_000);
    await page.clock.fastForward(2_000);
    await over("sse");
    await equal();
  });

  test("past a proxy that cuts what is idle: to polls that do not wait, in the end", async () => {
    network.idleMs = 1_500;
    await read();
    await expect.poll(() => network.asked("sse"), { timeout: 10_000 }).toBeGreaterThan(0);
    await publish();
    await equal();
    // Each is given its chances, and then they are polls at a pace that nothing can cut.
    await expect.poll(() => network.asked("updates"), { timeout: 40_000 }).toBeGreaterThan(3);
    const sockets = network.asked("ws") + network.asked("sse");
    const polls = network.asked("updates");
    await expect.poll(() => network.asked("updates"), { timeout: 20_000 }).toBeGreaterThan(polls + 3);
    expect(network.asked("ws") + network.asked("sse")).toBe(sockets);
    await publish();
    await equal();
  }, 90_000);

  test("back to a WebSocket when the server was away for long", async () => {
    await read();
    await over("ws");
    for (const kind of ["ws", "sse", "updates"] as const) network.obstruct(kind, "refused");
    await expect.poll(() => network.asked("updates"), { timeout: 25_000 }).toBeGreaterThan(0);
    await publish();
    for (const kind of ["ws", "sse", "updates"] as const) network.clear(kind);
    await page.clock.fastForward(30_000);
    await equal();
    await climbTo("ws");
    await publish();
    await equal();
  });

  test.each(["hidden now and then", "cut off now and then"])(
    "back to a WebSocket on a page that is %s: by tries that get rarer",
    async (how) => {
      // The longest wait: 45 s before the first try, twice as long before the next.
      await page.addInitScript(() => {
        Math.random = () => 0.99;
        let sockets = 0;
        // The network does not hear of one that is left again at once.
        const Counted = class extends WebSocket {
          constructor(url: string) {
            super(url);
            sockets++;
          }
        };
        Object.assign(window, { WebSocket: Counted, sockets: () => sockets });
      });
      const sockets = () => page.evaluate(() => (window as never as { sockets(): number }).sockets());
      network.obstruct("ws", "refused");
      await read();
      await over("sse");
      const before = await sockets();
      const round = async () => {
        const streams = network.asked("sse");
        await page.clock.fastForward(35_000);
        if (how.startsWith("hidden")) {
          await setHidden(true);
          await page.clock.fastForward(11_000);
          await expect.poll(() => network.open("sse")).toBe(0);
          await setHidden(false);
        } else network.sever("sse");
        await leapUntil(() => network.asked("sse") > streams, 1_000);
        // It has heard by then that it is live.
        await page.waitForSelector("#live-posts[data-live-state=live]", { state: "attached" });
        await over("sse");
      };
      for (let rounds = 0; rounds < 5; rounds++) await round();
      expect((await sockets()) - before).toBe(2);
      network.clear("ws");
      await leapUntil(() => network.open("ws") === 1, 35_000);
      await publish();
      await equal();
    },
    60_000,
  );

  test("climbs to nothing that brings nothing: what works goes on beside it", async () => {
    // The shortest waits: 15 s before the first try, and 30 s before the next.
    await page.addInitScript(() => {
      Math.random = () => 0;
    });
    network.obstruct("ws", "refused");
    await read();
    await over("sse");
    network.obstruct("ws", "held up");
    const asked = network.asked("ws");
    await leapUntil(() => network.asked("ws") > asked, 10_000);
    await publish();
    await equal();
    // It is asked for before it is open.
    await expect.poll(() => [network.open("ws"), network.open("sse")]).toEqual([1, 1]);
    await page.clock.fastForward(35_000);
    await publish();
    await equal();
    expect(network.asked("ws")).toBe(asked + 1);
    await page.clock.fastForward(6_000);
    await expect.poll(() => network.open("ws")).toBe(0);
    await publish();
    await equal();
  });

  test("an old word of a better way is not taken for the newest", async () => {
    // What a trial was asked from is behind by then: another epoch's word there is about that, not about the page.
    await page.addInitScript(() => {
      const sockets: {
        url: string;
        onopen?: () => void;
        onmessage?: (event: object) => void;
        onclose?: () => void;
      }[] = [];
      const streams: { onmessage?: (event: object) => void }[] = [];
      const frame = (cursor: string, content?: string) => ({
        data: JSON.stringify({
          renders: content
            ? {
                a: { show: true, at: 1, content: `<div class="live-post" data-post-id="a">${content}</div>` },
              }
            : {},
          removals: [],
          cursor,
        }),
      });
      const fakes = { sockets, streams, frame, refuse: true };
      Object.assign(window, {
        fakes,
        WebSocket: class {
          url: string;
          onclose?: () => void;
          constructor(url: string) {
            this.url = url;
            sockets.push(this);
            if (fakes.refuse) setTimeout(() => this.onclose?.(), 1);
          }
          close() {}
        },
        EventSource: class {
          constructor() {
            streams.push(this as never);
          }
          close() {}
        },
      });
    });
    type Fakes = {
      sockets: { url: string; onopen(): void; onmessage(event: object): void }[];
      streams: { onmessage(event: object): void }[];
      frame(cursor: string, content?: string): object;
      refuse: boolean;
    };
    await read();
    await page.evaluate(() => {
      document.getElementById("live-posts")!.dataset.cursor = "e1.10";
    });
    await page.clock.fastForward(2_000);
    await page.clock.fastForward(2_000);
    await page.evaluate(() => {
      const { fakes } = window as never as { fakes: Fakes };
      fakes.streams.at(-1)!.onmessage(fakes.frame("e1.10"));
      fakes.refuse = false;
    });
    await page.clock.fastForward(46_000);
    const urls = await page.evaluate(() => {
      const { fakes } = window as never as { fakes: Fakes };
      fakes.streams.at(-1)!.onmessage(fakes.frame("e2.12", "NEW"));
      const trial = fakes.sockets.at(-1)!;
      trial.onopen();
      trial.onmessage(fakes.frame("e1.11", "OLD"));
      return trial.url;
    });
    expect(urls).toContain("cursor=e1.10");
    expect(await shown()).toEqual(["NEW"]);
    expect(await page.locator("#live-posts").getAttribute("data-cursor")).toBe("e2.12");
  });
});

describe("polling", () => {
  beforeEach(() => {
    network.obstruct("ws", "refused");
    network.obstruct("sse", "refused");
  });

  test("shows a post as soon as it is published, and waits in between", async () => {
    await read();
    await over("updates");
    await expect.poll(() => network.open("updates")).toBe(1);
    const asked = network.asked("updates");
    await publish();
    await equal();
    expect(network.asked("updates") - asked).toBeLessThanOrEqual(3);
  });

  test("lets go soon when nobody looks at the page: browsers have six connections for a host", async () => {
    await read();
    await over("updates");
    await setHidden(true);
    await page.clock.fastForward(11_000);
    await expect.poll(() => network.open("updates")).toBe(0);
    await publish();
    await setHidden(false);
    await equal();
  });

  test("stays where nothing is published for long", async () => {
    await read();
    await page.waitForSelector("#live-posts[data-live-state=live]", { state: "attached" });
    await over("updates");
    const [sockets, polls] = [network.asked("ws"), network.asked("updates")];
    await page.clock.fastForward(11_000);
    await expect(over("updates")).resolves.toBeUndefined();
    expect([network.asked("ws"), network.asked("updates")]).toEqual([sockets, polls]);
    await publish();
    await equal();
  });

  test("goes on from where it was when something in between has answered for the server", async () => {
    await read();
    await over("updates");
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    const isPoll = (url: URL) => url.pathname.startsWith("/updates/");
    const answer = async (route: Route) => {
      await publish();
      await route.fulfill({ json: { message: "not here" } });
      resolve();
    };
    await page.route(isPoll, answer, { times: 1 });
    await publish();
    await answered;
    await equal();
  });

  test("answers a reset with one resync, and goes on meanwhile", async () => {
    await publish();
    const resyncs: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("?at=")) resyncs.push(request.url());
    });
    // A copy of the page from a history that the server does not know.
    await page.route("**/live/finals/", async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace(/data-cursor="[^"]*"/, 'data-cursor="other.7"');
      await route.fulfill({ response, body });
    });
    await read();
    await page.clock.fastForward(2_000);
    await expect.poll(() => network.asked("updates"), { timeout: 10_000 }).toBeGreaterThan(1);
    await publish();
    await page.clock.fastForward(3_000);
    await equal();
    expect(resyncs.length).toBe(1);
    await publish();
    await equal();
  });

  test("pauses where an answer is not let wait", async () => {
    await page.route("**/updates/**", (route) =>
      route.continue({
        url: route
          .request()
          .url()
          .replace(/&wait=\d+/, ""),
      }),
    );
    await read();
    await expect.poll(() => network.asked("updates"), { timeout: 10_000 }).toBeGreaterThan(1);
    const asked = network.asked("updates");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(network.asked("updates") - asked).toBeLessThanOrEqual(4);
    await publish();
    await equal();
  });

  /** The waits of all polls so far, in seconds. */
  function waits(): number[] {
    const asked: number[] = [];
    page.on("request", (request) => {
      const { pathname, searchParams } = new URL(request.url());
      if (pathname.startsWith("/updates/")) asked.push(Number(searchParams.get("wait")));
    });
    return asked;
  }

  /** Waits until these polls were asked for, and all but the last answered. */
  async function polled(asked: readonly number[], wanted: readonly number[]): Promise<void> {
    await expect.poll(() => asked, { timeout: 20_000 }).toEqual(wanted);
    const reached = () => [network.asked("updates"), network.open("updates")];
    await expect.poll(reached, { timeout: 20_000 }).toEqual([wanted.length, 1]);
  }

  /** Cuts the poll that waits, when its reader has heard nothing for three seconds. */
  async function cut(): Promise<void> {
    await page.clock.fastForward(3_000);
    network.sever("updates");
  }

  test("one wait that is cut, as by a server that is killed, is no reason not to wait", async () => {
    const asked = waits();
    await read();
    await polled(asked, [0, 20]);
    await cut();
    await polled(asked, [0, 20, 0, 20]);
    // A wait that is answered is word that waits are not cut here.
    await publish();
    await polled(asked, [0, 20, 0, 20, 20]);
    await cut();
    await polled(asked, [0, 20, 0, 20, 20, 0, 20]);
    await publish();
    await equal();
  });

  test("two cut in a row are one, and after a while it waits again", async () => {
    const asked = waits();
    await read();
    await polled(asked, [0, 20]);
    await cut();
    await polled(asked, [0, 20, 0, 20]);
    await cut();
    for (let polls = 5; polls < 15; polls++) {
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(polls);
      await page.clock.fastForward(2_500);
    }
    await polled(asked, [0, 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20]);
    await publish();
    await equal();
  });

  test("a wait that is refused at once, in plain text, was not cut", async () => {
    const asked = waits();
    await read();
    await polled(asked, [0, 20]);
    const refuse = (route: Route) => route.fulfill({ status: 503, body: "restarting" });
    await page.route((url) => url.pathname.startsWith("/updates/"), refuse, { times: 1 });
    await publish();
    await expect.poll(() => asked, { timeout: 20_000 }).toEqual([0, 20, 20, 0, 20]);
    await publish();
    await equal();
  });

  test("ends when the page is left", async () => {
    await read();
    await over("updates");
    await page.goto("about:blank");
    await expect.poll(() => network.open("updates")).toBe(0);
    await expect.poll(() => server.hub.stats().readers).toBe(0);
  });
});
