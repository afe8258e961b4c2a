import type { Browser, BrowserContextOptions, Page as Tab } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { localTime } from "../../src/app/reader/times.ts";
import { parseBlocks } from "../../src/pages/blocks.ts";
import type { Post } from "../../src/pages/model.ts";
import { launchBrowser } from "../support/browser.ts";
import { type ReaderSite, startReaderSite } from "./reader-site.ts";

let browser: Browser;
let site: ReaderSite;
let pages = 0;

beforeAll(async () => {
  [browser, site] = await Promise.all([launchBrowser(), startReaderSite()]);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

/** A page with this many posts, `post 1` being the oldest. */
async function newPage(posts = 0, title = "The finals"): Promise<string> {
  const channelId = `page-${pages++}`;
  await site.pages.createPage({ channelId, title });
  for (let i = 1; i <= posts; i++) await publish(channelId, `post ${i}`);
  return channelId;
}

function publish(channelId: string, value: string, type: "text" | "html" = "text"): Promise<Post> {
  return site.pages.createPost(channelId, { content: parseBlocks([{ type, value }]) });
}

interface OpenTab {
  readonly tab: Tab;
  /** What the page's Content-Security-Policy had to stop. */
  readonly violations: readonly string[];
}

/** Runs `use` in a tab with the page open and live. */
async function reading(
  channelId: string,
  use: (open: OpenTab) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, ...options });
  try {
    const tab = await context.newPage();
    const violations: string[] = [];
    tab.on("console", (message) => {
      if (/content security policy/i.test(message.text())) violations.push(message.text());
    });
    await tab.goto(`${site.url}/live/${channelId}/`);
    if (options.javaScriptEnabled !== false) await live(tab);
    await use({ tab, violations });
  } finally {
    await context.close();
  }
}

const live = (tab: Tab) => tab.waitForSelector("#live-posts[data-live-state=live]", { state: "attached" });
const shown = (tab: Tab) =>
  tab.locator(".live-post-wrapper:not([hidden]) .live-post-content").allTextContents();
const count = (tab: Tab, posts: number) =>
  tab.waitForFunction((posts) => document.querySelectorAll(".live-post").length === posts, posts);
const top = (tab: Tab, text: string) =>
  tab.getByText(text, { exact: true }).evaluate((element) => element.getBoundingClientRect().top);

test("the page follows what is published, edited, hidden, shown and deleted", async () => {
  const page = await newPage(2);
  await reading(page, async ({ tab, violations }) => {
    const post = await publish(page, "post 3");
    await count(tab, 3);
    expect(await shown(tab)).toEqual(["post 3", "post 2", "post 1"]);
    await site.pages.updatePost(page, post.id, { content: parseBlocks([{ type: "text", value: "edited" }]) });
    await tab.getByText("edited", { exact: true }).waitFor();
    await site.pages.updatePost(page, post.id, { show: false });
    await tab.getByText("edited", { exact: true }).waitFor({ state: "detached" });
    await site.pages.updatePost(page, post.id, { show: true });
    await tab.getByText("edited", { exact: true }).waitFor();
    await site.pages.deletePost(page, post.id);
    await count(tab, 2);
    expect(await shown(tab)).toEqual(["post 2", "post 1"]);
    expect(violations).toEqual([]);
  });
});

test("without JavaScript every post is there, and so is a way to the newest", async () => {
  const page = await newPage(3);
  await reading(
    page,
    async ({ tab }) => {
      expect(await shown(tab)).toEqual(["post 3", "post 2", "post 1"]);
      await publish(page, "post 4");
      await tab.getByRole("link", { name: "Load the newest posts" }).click();
      await tab.getByText("post 4").waitFor();
      expect(await tab.locator(".live-state").isVisible()).toBe(false);
      expect(await tab.locator(".new-posts").isVisible()).toBe(false);
      expect(await tab.locator("time").last().textContent()).toMatch(/ UTC$/);
    },
    { javaScriptEnabled: false },
  );
});

describe("a page without posts", () => {
  test("says so until the first one comes", async () => {
    const page = await newPage();
    await reading(page, async ({ tab }) => {
      const empty = tab.locator(".no-posts");
      expect(await empty.isVisible()).toBe(true);
      const post = await publish(page, "the first");
      await empty.waitFor({ state: "hidden" });
      expect(await tab.getByText("the first", { exact: true }).isVisible()).toBe(true);
      await site.pages.updatePost(page, post.id, { show: false });
      await empty.waitFor();
    });
  });
});

describe("a reader who has scrolled down", () => {
  test("keeps the line they read, is told of new posts, and is led to the newest", async () => {
    const page = await newPage(30);
    await reading(page, async ({ tab }) => {
      await tab.getByText("post 15", { exact: true }).scrollIntoViewIfNeeded();
      const before = await top(tab, "post 15");
      await publish(page, "post 31");
      await publish(page, "post 32");
      const button = tab.getByRole("button", { name: "2 new posts" });
      await button.waitFor();
      expect(Math.abs((await top(tab, "post 15")) - before)).toBeLessThan(1);
      expect(await tab.getByRole("status").textContent()).toMatch(/^[12] new posts?\.$/);

      await button.click();
      await button.waitFor({ state: "hidden" });
      await tab.waitForFunction(() => {
        const box = document.activeElement!.getBoundingClientRect();
        return document.activeElement!.matches(".live-post-wrapper") && box.top >= 40 && box.top < 100;
      });
      expect(await tab.evaluate(() => document.activeElement!.textContent)).toContain("post 32");
    });
  });

  test("may scroll up by themselves: the button goes when there is nothing left to see", async () => {
    const page = await newPage(30);
    await reading(page, async ({ tab }) => {
      await tab.evaluate(() => scrollTo(0, 1500));
      await publish(page, "post 31");
      const button = tab.getByRole("button", { name: "1 new post" });
      await button.waitFor();
      await tab.evaluate(() => scrollTo(0, 0));
      await button.waitFor({ state: "hidden" });
    });
  });

  test("is not told of posts that were taken away again, and still of those that were edited", async () => {
    const page = await newPage(30);
    await reading(page, async ({ tab }) => {
      await tab.evaluate(() => scrollTo(0, 1500));
      const kept = await publish(page, "post 31");
      const post = await publish(page, "post 32");
      await tab.getByRole("button", { name: "2 new posts" }).waitFor();
      await site.pages.updatePost(page, kept.id, {
        content: parseBlocks([{ type: "text", value: "edited" }]),
      });
      await tab.getByText("edited", { exact: true }).waitFor();
      expect(await tab.getByRole("button", { name: "2 new posts" }).isVisible()).toBe(true);
      await site.pages.deletePost(page, post.id);
      await tab.getByRole("button", { name: "1 new post" }).waitFor();
    });
  });
});

test("a reader at the top sees a new post, marked and announced, and no button", async () => {
  const page = await newPage(3);
  await reading(page, async ({ tab }) => {
    await publish(page, "post 4");
    await tab.locator(".live-post-wrapper.is-new", { hasText: "post 4" }).waitFor();
    expect(await tab.getByRole("status").textContent()).toBe("1 new post.");
    expect(await tab.locator(".new-posts").isVisible()).toBe(false);
  });
});

test("the state of the connection is shown, and its loss and return are announced", async () => {
  const page = await newPage(1);
  await reading(page, async ({ tab }) => {
    const state = tab.locator(".live-state");
    expect(await state.textContent()).toBe("Live");
    await site.crash();
    await tab.locator(".live-state", { hasText: "Reconnecting…" }).waitFor();
    expect(await tab.getByRole("status").textContent()).toBe("Connection lost. Reconnecting.");
    await publish(page, "post 2");
    await site.listen();
    await tab.locator(".live-state", { hasText: /^Live$/ }).waitFor();
    await count(tab, 2);
    expect(await shown(tab)).toEqual(["post 2", "post 1"]);
  });
});

test("a tab in the background counts in its title", async () => {
  const page = await newPage(1, "Cup final");
  await reading(page, async ({ tab }) => {
    // Headless tabs are never in the background: the page is told that it is.
    const hide = (isHidden: boolean) =>
      tab.evaluate((isHidden) => {
        Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, isHidden);
    await hide(true);
    await publish(page, "post 2");
    await publish(page, "post 3");
    await tab.waitForFunction(() => document.title === "(2) Cup final");
    await hide(false);
    expect(await tab.title()).toBe("Cup final");
  });
});

describe("times", () => {
  test("are local, while the page's own HTML stays the server's", async () => {
    const page = await newPage();
    const created = Date.UTC(2025, 5, 1, 12, 0);
    await site.pages.createPost(page, { content: parseBlocks([{ type: "text", value: "x" }]), created });
    await reading(
      page,
      async ({ tab }) => {
        const local = await tab
          .locator(".live-post-meta")
          .evaluate((meta) => meta.shadowRoot!.querySelector("time")!.textContent);
        expect(local).toMatch(/^Jun 1, 2025, 9:00\sPM$/);
        const { posts } = await site.store.viewPage(page);
        expect(await tab.locator(".live-post").evaluate((post) => post.outerHTML)).toBe(posts[0]!.content);
        await publish(page, "new");
        await count(tab, 2);
        const fresh = tab.locator(".live-post-meta").first();
        expect(await fresh.evaluate((meta) => meta.shadowRoot!.textContent)).toBe("just now");
      },
      { timezoneId: "Asia/Tokyo", locale: "en-US" },
    );
  });

  test("are told as is best at their age", () => {
    const now = new Date(2026, 10, 24, 14, 5, 30).getTime();
    const minute = 60_000;
    expect(localTime(now, now)).toBe("just now");
    expect(localTime(now + 30_000, now)).toBe("just now");
    expect(localTime(now - minute, now)).toBe("1 min ago");
    expect(localTime(now - 59.9 * minute, now)).toBe("59 min ago");
    expect(localTime(now - 60 * minute, now)).toMatch(/^(1|01|13).05/);
    expect(localTime(now - 24 * 60 * minute, now)).toMatch(/23.*, /);
    expect(localTime(now - 400 * 24 * 60 * minute, now)).toMatch(/2025.*, /);
    expect(localTime(now + 5 * minute, now)).not.toMatch(/ago|now/);
  });
});

describe("for everyone", () => {
  test("the first key leads past the bar to the content", async () => {
    await reading(await newPage(1), async ({ tab }) => {
      await tab.keyboard.press("Tab");
      const skip = tab.getByRole("link", { name: "Skip to the content" });
      expect(await skip.evaluate((link) => link === document.activeElement)).toBe(true);
      await tab.waitForFunction(() => document.activeElement!.getBoundingClientRect().top >= 0);
      await tab.keyboard.press("Enter");
      expect(await tab.evaluate(() => document.activeElement!.id)).toBe("main");
    });
  });

  test("the page has its landmarks, one main heading, and posts as articles", async () => {
    await reading(await newPage(2, "Cup final"), async ({ tab }) => {
      for (const role of ["banner", "main"] as const) expect(await tab.getByRole(role).count()).toBe(1);
      expect(await tab.getByRole("heading", { level: 1 }).allTextContents()).toEqual(["Cup final"]);
      expect(
        await tab.getByRole("region", { name: "Posts, newest first" }).getByRole("article").count(),
      ).toBe(2);
      expect(await tab.locator("html").getAttribute("lang")).toBe("en");
    });
  });

  test.each(["light", "dark"] as const)("text stands out from its ground (%s)", async (colorScheme) => {
    await reading(
      await newPage(),
      async ({ tab }) => {
        const colors = await tab.evaluate(() => {
          const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
          const style = getComputedStyle(document.documentElement);
          const rgb = (name: string) => {
            context.fillStyle = style.getPropertyValue(`--${name}`);
            context.fillRect(0, 0, 1, 1);
            return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
          };
          return Object.fromEntries(
            ["paper", "card", "wash", "ink", "faded", "red", "on-red"].map((name) => [name, rgb(name)]),
          );
        });
        for (const [front, back] of [
          ...["ink", "faded", "red"].flatMap((front) => [
            [front, "paper"],
            [front, "card"],
            [front, "wash"],
          ]),
          ["on-red", "red"],
        ] as [string, string][]) {
          const ratio = contrast(colors[front]!, colors[back]!);
          expect.soft(ratio, `${front} on ${back}`).toBeGreaterThanOrEqual(4.5);
        }
      },
      { colorScheme },
    );
  });

  test("a finger finds what there is to press", async () => {
    const page = await newPage(30);
    await reading(page, async ({ tab }) => {
      await tab.evaluate(() => scrollTo(0, 1500));
      await publish(page, "x");
      await tab.locator(".new-posts").waitFor();
      for (const target of [".new-posts", ".wordmark"]) {
        const box = (await tab.locator(target).boundingBox())!;
        expect.soft(Math.round(Math.min(box.width, box.height)), target).toBeGreaterThanOrEqual(44);
      }
    });
  });

  test("nothing is wider than the narrowest phone", async () => {
    const long = "x".repeat(300);
    const page = await newPage(0, long);
    await publish(page, `${long} https://example.com/${long}`);
    const cells = "<td>wide cell</td>".repeat(40);
    await publish(
      page,
      `<pre>${long}</pre><table><tr>${cells}</tr></table><img src="https://x.invalid/y" width="4000" height="10">`,
      "html",
    );
    await reading(
      page,
      async ({ tab }) => {
        expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      },
      { viewport: { width: 360, height: 740 } },
    );
  });
});

/** The contrast ratio of two colours, by WCAG 2. */
function contrast(a: readonly number[], b: readonly number[]): number {
  const luminance = (rgb: readonly number[]) => {
    const [r, g, b] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const [dark, bright] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
  return (bright! + 0.05) / (dark! + 0.05);
}

test("a page with 1,000 posts loads, and follows, as one with 10 does", async () => {
  const page = await newPage(1000);
  await reading(page, async ({ tab }) => {
    await count(tab, 1000);
    await tab.evaluate(() => scrollTo(0, 40_000));
    const before = await tab.evaluate(
      () => document.elementFromPoint(195, 400)!.closest(".live-post")!.textContent,
    );
    await publish(page, "post 1001");
    await tab.getByRole("button", { name: "1 new post" }).waitFor();
    const after = await tab.evaluate(
      () => document.elementFromPoint(195, 400)!.closest(".live-post")!.textContent,
    );
    expect(after).toBe(before);
    expect((await shown(tab))[0]).toBe("post 1001");
  });
});

test("the front page leads to the pages, and an unknown path to the front page", async () => {
  const page = await newPage(0, "Front <page> title");
  const tab = await browser.newPage();
  await tab.goto(`${site.url}/nothing`);
  await tab.getByRole("link", { name: "See what is live" }).click();
  await tab.getByRole("link", { name: "Front <page> title" }).click();
  await tab.waitForURL(`${site.url}/live/${page}/`);
  await tab.close();
});
