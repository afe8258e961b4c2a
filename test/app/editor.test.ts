import type { Browser, Page as Tab } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { composer, listed, type Newsroom, openEditor, openNewsroom, png } from "../support/editor.ts";

let browser: Browser;
let newsroom: Newsroom;
let channel = "";
let count = 0;

beforeAll(async () => {
  browser = await launchBrowser();
  newsroom = await openNewsroom();
});
afterAll(async () => {
  await browser?.close();
  await newsroom?.close();
});
beforeEach(async () => {
  count += 1;
  channel = `page-${count}`;
  await newsroom.page(channel);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

async function write(tab: Tab, text: string): Promise<void> {
  await composer(tab).getByLabel("Text", { exact: true }).first().fill(text);
}

async function publish(tab: Tab, text: string): Promise<void> {
  await write(tab, text);
  await send(tab, text);
}

/** Publishes what is written, until the next post can be. */
async function send(tab: Tab, text: string): Promise<void> {
  await tab.keyboard.press("Control+Enter");
  await listed(tab, text).waitFor();
  await tab.locator('form[aria-label="New post"][aria-busy="false"] textarea:focus').waitFor();
}

const texts = async () =>
  (await newsroom.posts(channel)).map((post) => post.content.map((b) => b.value).join("|"));

// --- from reporter to reader -----------------------------------------------------------------------------

test("what is written, edited, hidden, shown and deleted is so for a reader, without reload", async () => {
  await newsroom.post(channel, "First words");
  const { context, tab } = await openEditor(browser, newsroom, channel);
  const reader = await context.newPage();
  await reader.goto(`${newsroom.url}/live/${channel}/`);
  await reader.evaluate(() => Object.assign(window, { same: true }));
  const seen = () => reader.locator(".live-post-wrapper:not([hidden]) .live-post-content").allInnerTexts();

  await tab.bringToFront();
  await publish(tab, "Goal!");
  await expect.poll(seen).toEqual(["Goal!", "First words"]);
  expect(await composer(tab).getByLabel("Text", { exact: true }).inputValue()).toBe("");

  await listed(tab, "First words").getByRole("button", { name: /^Edit/ }).click();
  await tab.getByRole("form", { name: /^Edit/ }).getByLabel("Text", { exact: true }).fill("Better words");
  await tab.keyboard.press("Control+Enter");
  await expect.poll(seen).toEqual(["Goal!", "Better words"]);

  await listed(tab, "Better words").getByRole("button", { name: /^Hide/ }).click();
  await expect.poll(seen).toEqual(["Goal!"]);
  await listed(tab, "Better words").getByText("Hidden from readers").waitFor();

  await listed(tab, "Better words").getByRole("button", { name: /^Show/ }).click();
  await expect.poll(seen).toEqual(["Goal!", "Better words"]);

  await listed(tab, "Goal!")
    .getByRole("button", { name: /^Delete/ })
    .click();
  await listed(tab, "Goal!").getByRole("button", { name: "Keep" }).click();
  expect(await texts()).toEqual(["Goal!", "Better words"]);
  await listed(tab, "Goal!")
    .getByRole("button", { name: /^Delete/ })
    .click();
  await listed(tab, "Goal!").getByRole("button", { name: "Delete", exact: true }).click();
  await expect.poll(seen).toEqual(["Better words"]);
  expect(await listed(tab, "Goal!").count()).toBe(0);
  expect(await reader.evaluate(() => "same" in window)).toBe(true);
});

test("the pane beside it is the readers' own page, live", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  await publish(tab, "Seen at once");
  await tab
    .frameLocator("#readers iframe")
    .locator(".live-post-content", { hasText: "Seen at once" })
    .waitFor();
});

test("a post saved hidden reaches no reader until it is shown", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  await write(tab, "The winner is …");
  await composer(tab).getByRole("button", { name: "Save hidden" }).click();
  await listed(tab, "The winner is …").getByText("Hidden from readers").waitFor();
  const page = async () => (await fetch(`${newsroom.url}/live/${channel}/`)).text();
  expect(await page()).not.toContain("The winner");
  await listed(tab, "The winner is …").getByRole("button", { name: /^Show/ }).click();
  await expect.poll(page).toContain("The winner");
});

test("blocks are published in their order, and moved and removed before that", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  const form = composer(tab);
  await write(tab, "one");
  await form.getByRole("button", { name: "HTML" }).click();
  await tab.keyboard.type("<b>two</b>");
  await form.getByRole("button", { name: "Embed", exact: true }).click();
  await tab.keyboard.type("https://example.org/three");
  await form.getByRole("button", { name: "Move Embed up" }).click();
  await form.getByRole("button", { name: "Move Embed up" }).click();
  await form.getByRole("button", { name: "Remove Text" }).click();
  await tab.keyboard.press("Control+Enter");
  await listed(tab, "two").waitFor();
  expect(await texts()).toEqual(["https://example.org/three|<b>two</b>"]);
});

test("a refused block says why, where it is, and keeps everything", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  await write(tab, "good");
  await composer(tab).getByRole("button", { name: "Embed", exact: true }).click();
  await tab.keyboard.type("gopher://example.org");
  await composer(tab).evaluate((form: HTMLFormElement) => {
    form.noValidate = true;
  });
  await tab.keyboard.press("Control+Enter");
  const embed = composer(tab).getByLabel("Embed", { exact: true });
  await composer(tab).locator("[data-type=embed] .error:not([hidden])").waitFor();
  expect(await embed.getAttribute("aria-invalid")).toBe("true");
  expect(await embed.inputValue()).toBe("gopher://example.org");
  expect(await texts()).toEqual([]);
});

test("nothing is published when nothing is written", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  await write(tab, "  \n ");
  await tab.keyboard.press("Control+Enter");
  await composer(tab).getByText("Write something first.").waitFor();
  expect(await texts()).toEqual([]);
});

// --- pages -----------------------------------------------------------------------------------------------

test("pages are made, opened, renamed and deleted", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  const nav = tab.getByRole("navigation", { name: "Pages" });
  await nav.getByRole("button", { name: "New page" }).click();
  await tab.keyboard.type("Élection 2026: résultats");
  expect(await nav.getByLabel(/^Address/).inputValue()).toBe("election-2026-resultats");
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { level: 1, name: "Élection 2026: résultats" }).waitFor();
  expect(new URL(tab.url()).searchParams.get("page")).toBe("election-2026-resultats");

  await tab.getByRole("button", { name: "Rename" }).click();
  await tab.keyboard.type("The night");
  await tab.keyboard.press("Enter");
  await nav.getByRole("link", { name: "The night" }).waitFor();

  await nav.getByRole("link", { name: channel, exact: true }).click();
  await tab.getByRole("heading", { level: 1, name: channel }).waitFor();
  await tab.goBack();
  await tab.getByRole("heading", { level: 1, name: "The night" }).waitFor();

  await tab.getByRole("button", { name: "Delete page" }).click();
  await tab.getByText("Readers lose it at once").waitFor();
  await tab.getByRole("group").getByRole("button", { name: "Delete page" }).click();
  await tab.getByRole("heading", { level: 1, name: channel }).waitFor();
  expect(await nav.getByRole("link", { name: "The night" }).count()).toBe(0);
});

test("an address that is taken is said beside it, and what was typed stays", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  const nav = tab.getByRole("navigation", { name: "Pages" });
  await nav.getByRole("button", { name: "New page" }).click();
  await nav.getByLabel("Title").fill("Another");
  await nav.getByLabel(/^Address/).fill(channel);
  await tab.keyboard.press("Enter");
  await nav.locator(".error:not([hidden])").waitFor();
  expect(await nav.getByLabel("Title").inputValue()).toBe("Another");
});

test("a page with a name of its own kind can be written", async () => {
  const name = "été & -100123?#%2F__proto__";
  await newsroom.page(name, "Été");
  const { tab } = await openEditor(browser, newsroom, name);
  await publish(tab, "Il fait chaud");
  expect(await newsroom.posts(name)).toHaveLength(1);
});

test("a thousand posts: some at once, the rest on the way down", async () => {
  for (let i = 1; i <= 1000; i += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => newsroom.post(channel, `Post ${i + j}.`)));
  }
  const { tab } = await openEditor(browser, newsroom, channel);
  await tab.locator(".post").nth(49).waitFor();
  expect(await tab.locator(".post").count()).toBeLessThanOrEqual(150);
  await expect
    .poll(
      async () => {
        await tab.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
        return tab.locator(".post").count();
      },
      { timeout: 20_000 },
    )
    .toBe(1000);
  const order = await tab
    .locator(".post")
    .evaluateAll((posts) => posts.map((post) => Number((post as HTMLElement).dataset.at)));
  expect(order).toEqual([...order].sort((a, b) => b - a));
  await tab.getByRole("button", { name: "Load more" }).waitFor({ state: "hidden" });
  await publish(tab, "One more");
  expect(await tab.locator(".post").first().textContent()).toContain("One more");
});

// --- pictures --------------------------------------------------------------------------------------------

test("pictures are chosen, dropped and pasted", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  const form = composer(tab);
  await form
    .locator("input[type=file]")
    .setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png(40, 30) });
  await form.getByLabel(/^What it shows/).fill("A queue");
  const bytes = [...png(20, 20)];
  const hand = (how: "drop" | "paste") =>
    form.evaluate(
      (element, { how, bytes }) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "b.png", { type: "image/png" }));
        const init = { bubbles: true, cancelable: true };
        element.dispatchEvent(
          how === "drop"
            ? new DragEvent("drop", { ...init, dataTransfer: data })
            : new ClipboardEvent("paste", { ...init, clipboardData: data }),
        );
      },
      { how, bytes },
    );
  await hand("drop");
  await hand("paste");
  await tab.keyboard.press("Control+Enter");
  await tab.locator(".post img").nth(2).waitFor();
  const [post] = await newsroom.posts(channel);
  expect(post!.content.map((block) => block.type)).toEqual(["image", "image", "image"]);
  expect(post!.content[0]).toMatchObject({ alt: "A queue" });
  await expect
    .poll(() =>
      tab
        .locator(".post img")
        .first()
        .evaluate((img: HTMLImageElement) => img.naturalWidth),
    )
    .toBe(40);
});

test("what is no picture is refused beside it; the text stays and is published without it", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  const form = composer(tab);
  await write(tab, "With a picture");
  await form
    .locator("input[type=file]")
    .setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("<svg onload=alert(1)>") });
  await form.locator("[data-type=image] .error:not([hidden])").waitFor();
  await tab.keyboard.press("Control+Enter");
  await form.getByText("could not be added").waitFor();
  expect(await texts()).toEqual([]);
  await form.getByRole("button", { name: "Remove Picture" }).click();
  await tab.keyboard.press("Control+Enter");
  await listed(tab, "With a picture").waitFor();
  expect(await texts()).toEqual(["With a picture"]);
});

test("leaving warns while a picture is on its way, not when all is kept", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  await write(tab, "Kept as a draft");
  const asked: string[] = [];
  tab.on("dialog", async (dialog) => {
    asked.push(dialog.type());
    await dialog.accept();
  });
  await tab.reload();
  expect(asked).toEqual([]);
  expect(await composer(tab).getByLabel("Text", { exact: true }).inputValue()).toBe("Kept as a draft");

  await tab.route("**/api/images", () => {});
  await composer(tab)
    .locator("input[type=file]")
    .setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png(9, 9) });
  await composer(tab).getByText("Uploading…").waitFor();
  await composer(tab)
    .getByLabel(/^What it shows/)
    .fill("A goal");
  await tab.reload();
  expect(asked).toEqual(["beforeunload"]);
});

// --- two editors -----------------------------------------------------------------------------------------

async function editing(text: string): Promise<{ tab: Tab; id: string; mine: () => Promise<string> }> {
  const post = await newsroom.post(channel, "As it was");
  const { tab } = await openEditor(browser, newsroom, channel);
  await listed(tab, "As it was").getByRole("button", { name: /^Edit/ }).click();
  const input = tab.getByRole("form", { name: /^Edit/ }).getByLabel("Text", { exact: true });
  await input.fill(text);
  return { tab, id: post.id, mine: () => input.inputValue() };
}

test("a change by somebody else is told while typing; theirs can be taken", async () => {
  const { tab, id, mine } = await editing("Mine");
  await newsroom.change(channel, id, { content: "Theirs" });
  const conflict = tab.locator(".conflict");
  await conflict.getByText("Somebody else changed this post").waitFor();
  expect(await conflict.locator("section").allInnerTexts()).toEqual([
    expect.stringContaining("Theirs"),
    expect.stringContaining("Mine"),
  ]);
  expect(await mine()).toBe("Mine");
  await conflict.getByRole("button", { name: "Take theirs" }).click();
  await listed(tab, "Theirs").waitFor();
  expect(await texts()).toEqual(["Theirs"]);
});

test("saving over a change that was not answered is refused until the editor chooses", async () => {
  const { tab, id, mine } = await editing("Mine");
  await newsroom.change(channel, id, { content: "Theirs" });
  const conflict = tab.locator(".conflict");
  await conflict.getByRole("button", { name: "Keep editing" }).click();
  await conflict.waitFor({ state: "hidden" });
  await tab.keyboard.press("Control+Enter");
  await conflict.waitFor();
  expect(await texts()).toEqual(["Theirs"]);
  expect(await mine()).toBe("Mine");

  await newsroom.change(channel, id, { content: "Theirs again" });
  await conflict.getByText("Theirs again").waitFor();
  await conflict.getByRole("button", { name: "Publish mine over it" }).click();
  await tab.getByRole("form", { name: /^Edit/ }).waitFor({ state: "detached" });
  expect(await texts()).toEqual(["Mine"]);
});

test("a change nobody heard of is still a conflict", async () => {
  const { tab, id } = await editing("Mine");
  await tab.route(`**/posts/${id}`, async (route) => {
    if (route.request().method() === "PATCH") await newsroom.change(channel, id, { content: "Theirs" });
    await route.continue();
  });
  await tab.keyboard.press("Control+Enter");
  await tab.locator(".conflict").getByText("Theirs", { exact: true }).waitFor();
  expect(await texts()).toEqual(["Theirs"]);
});

test("hidden by somebody else meanwhile is no conflict: it is saved, and stays hidden", async () => {
  const { tab, id } = await editing("Mine");
  await newsroom.change(channel, id, { show: false });
  await tab.getByText("Hidden from readers").waitFor();
  expect(await tab.locator(".conflict").isVisible()).toBe(false);
  await tab.keyboard.press("Control+Enter");
  await tab.getByRole("form", { name: /^Edit/ }).waitFor({ state: "detached" });
  expect((await newsroom.posts(channel))[0]).toMatchObject({ show: false, content: [{ value: "Mine" }] });
});

test("deleted by somebody else meanwhile: what was written can become a new post", async () => {
  const { tab, id } = await editing("Mine");
  await newsroom.remove(channel, id);
  await tab.getByText("Somebody else deleted this post").waitFor();
  await tab.getByRole("button", { name: "Make mine a new post" }).click();
  expect(await composer(tab).getByLabel("Text", { exact: true }).inputValue()).toBe("Mine");
  await composer(tab).getByRole("button", { name: "Publish" }).click();
  await expect.poll(texts).toEqual(["Mine"]);
});

test("hiding and deleting what has just changed are refused, and the change is shown", async () => {
  const { id } = await newsroom.post(channel, "As it was");
  const { tab } = await openEditor(browser, newsroom, channel);
  await listed(tab, "As it was").waitFor();
  let changes = 0;
  await tab.route(`**/posts/${id}`, async (route) => {
    if (route.request().method() !== "GET") {
      changes += 1;
      await newsroom.change(channel, id, { content: `Theirs ${changes}` });
    }
    await route.continue();
  });
  await listed(tab, "As it was").getByRole("button", { name: /^Hide/ }).click();
  await listed(tab, "Theirs 1").getByText("Look again").waitFor();
  await listed(tab, "Theirs 1")
    .getByRole("button", { name: /^Delete/ })
    .click();
  await listed(tab, "Theirs 1").getByRole("button", { name: "Delete", exact: true }).click();
  await listed(tab, "Theirs 2").getByText("Look again").waitFor();
  expect((await newsroom.posts(channel))[0]).toMatchObject({ show: true });
});

test("posts of others come and go without disturbing what is typed", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  const input = composer(tab).getByLabel("Text", { exact: true });
  await input.fill("Half a sentence");
  await input.evaluate((field: HTMLTextAreaElement) => field.setSelectionRange(5, 6));
  const { id } = await newsroom.post(channel, "From the desk");
  await listed(tab, "From the desk").waitFor();
  await newsroom.remove(channel, id);
  await listed(tab, "From the desk").waitFor({ state: "detached" });
  await tab.keyboard.type("x");
  expect(await input.inputValue()).toBe("Half x sentence");
});

test("what happened while nothing was heard is there on return: new posts above, none lost below", async () => {
  for (let i = 1; i <= 60; i++) await newsroom.post(channel, `Post ${i}.`);
  const [newest] = await newsroom.posts(channel);
  const { tab } = await openEditor(browser, newsroom, channel, (tab) =>
    tab.routeWebSocket("**/ws/**", (socket) => void socket.close()),
  );
  await tab.locator(".post").nth(49).waitFor();
  await tab.getByText("No connection").waitFor();
  for (let i = 61; i <= 64; i++) await newsroom.post(channel, `Post ${i}.`);
  await newsroom.remove(channel, newest!.id);
  await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await listed(tab, "Post 64.").waitFor();
  await listed(tab, "Post 60.").waitFor({ state: "detached" });
  const shown = await tab.locator(".post .content").allTextContents();
  const wanted = [64, 63, 62, 61, ...Array.from({ length: 59 }, (_, i) => 59 - i)].map((i) => `Post ${i}.`);
  expect(shown).toEqual(wanted.slice(0, shown.length));
  expect(shown.length).toBeGreaterThanOrEqual(53);
});

// --- drafts, sessions, networks --------------------------------------------------------------------------

test("an edit survives a reload, with the conflict it missed", async () => {
  const { tab, id } = await editing("Mine");
  await tab.goto("about:blank");
  await newsroom.change(channel, id, { content: "Theirs" });
  await tab.goBack();
  await tab.locator(".conflict").getByText("Theirs", { exact: true }).waitFor();
  expect(
    await tab.getByRole("form", { name: /^Edit/ }).getByLabel("Text", { exact: true }).inputValue(),
  ).toBe("Mine");
});

test("an edit whose post was deleted while the editor was away is not lost", async () => {
  const { tab, id } = await editing("Mine");
  await tab.goto("about:blank");
  await newsroom.remove(channel, id);
  await tab.goto(`${newsroom.url}/editor?page=${channel}`);
  await composer(tab).getByText("What you wrote is here").waitFor();
  expect(await composer(tab).getByLabel("Text", { exact: true }).inputValue()).toBe("Mine");
});

test("a draft is gone once it is published", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  await publish(tab, "Out");
  await tab.reload();
  await listed(tab, "Out").waitFor();
  expect(await composer(tab).getByLabel("Text", { exact: true }).inputValue()).toBe("");
});

test("a session that ends asks for the token, then goes on with what was sent", async () => {
  const { context, tab } = await openEditor(browser, newsroom, channel);
  await write(tab, "Written before");
  await context.clearCookies();
  await tab.keyboard.press("Control+Enter");
  const dialog = tab.getByRole("dialog");
  await dialog.getByLabel("Token").fill("wrong");
  await tab.keyboard.press("Enter");
  await dialog.locator(".error:not([hidden])").waitFor();
  await dialog.getByLabel("Token").fill(newsroom.token);
  await tab.keyboard.press("Enter");
  await listed(tab, "Written before").waitFor();
  expect(await texts()).toEqual(["Written before"]);
});

test("a link's code logs in once and leaves the address bar", async () => {
  const context = await browser.newContext();
  const tab = await context.newPage();
  await tab.goto(newsroom.link);
  await tab.getByRole("form", { name: "New post" }).waitFor();
  expect(tab.url()).not.toContain("code");
  const second = await (await browser.newContext()).newPage();
  await second.goto(newsroom.link);
  await second.getByRole("dialog").getByText("logs in once").waitFor();
  expect(second.url()).not.toContain("code");
  await second.getByLabel("Token").fill(newsroom.token);
  await second.keyboard.press("Enter");
  await second.getByRole("form", { name: "New post" }).waitFor();
});

test("an answer that is lost never doubles a post, not even when the text is changed before the next try", async () => {
  const { tab } = await openEditor(browser, newsroom, channel);
  const cut = (times: number) =>
    tab.route(
      "**/posts",
      async (route) => {
        if (route.request().method() !== "POST") return route.fallback();
        await route.fetch();
        await route.abort("connectionreset");
      },
      { times },
    );
  await cut(1);
  await write(tab, "Once");
  await tab.keyboard.press("Control+Enter");
  await composer(tab).getByText("does not answer").waitFor();
  await tab.keyboard.press("Control+Enter");
  await tab.getByText("Published", { exact: true }).waitFor();
  expect(await texts()).toEqual(["Once"]);

  await cut(1);
  await write(tab, "Twise");
  await tab.keyboard.press("Control+Enter");
  await composer(tab).getByText("does not answer").waitFor();
  await tab.reload();
  await write(tab, "Twice");
  await tab.keyboard.press("Control+Enter");
  await tab.getByText("Published", { exact: true }).waitFor();
  expect(await texts()).toEqual(["Twice", "Once"]);
});

test("the page's policy allows nothing inline, and the page needs nothing more", async () => {
  const context = await browser.newContext();
  const tab = await context.newPage();
  const violations: string[] = [];
  tab.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) violations.push(message.text());
  });
  const response = await tab.goto(`${newsroom.url}/editor`);
  expect(response!.headers()["content-security-policy"]).toMatch(/default-src 'none'.*script-src 'self'/);
  expect(response!.headers()["content-security-policy"]).not.toContain("unsafe");
  await tab.getByLabel("Token").fill(newsroom.token);
  await tab.keyboard.press("Enter");
  await composer(tab)
    .locator("input[type=file]")
    .setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png(8, 8) });
  await publish(tab, "Within the policy");
  await tab.frameLocator("#readers iframe").getByText("Within the policy").waitFor();
  expect(violations).toEqual([]);
});

// --- on a phone ------------------------------------------------------------------------------------------

test("on a phone nothing is cut off, all there is to press is 44 pixels or more, and every view is a tap away", async () => {
  await newsroom.post(channel, `A long word: ${"x".repeat(300)}`);
  const { tab } = await openEditor(browser, newsroom, channel);
  await tab.setViewportSize({ width: 360, height: 740 });
  await tab.locator(".post").waitFor();
  const small = () =>
    tab.evaluate(() =>
      [...document.querySelectorAll("button, a, input, textarea")]
        .filter((element) => element.checkVisibility() && !element.matches(".skip, .content a"))
        .filter((element) => {
          const { width, height } = element.getBoundingClientRect();
          return width < 44 || height < 44;
        })
        .map((element) => element.outerHTML),
    );
  expect(await small()).toEqual([]);
  expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(360);

  const menu = tab.getByRole("button", { name: "Pages" });
  await menu.click();
  await tab
    .getByRole("navigation", { name: "Pages" })
    .getByRole("link", { name: channel, exact: true })
    .waitFor();
  expect(await small()).toEqual([]);
  await menu.click();
  await tab.getByRole("button", { name: "Readers see" }).click();
  await tab.frameLocator("#readers iframe").getByText("A long word").waitFor();
  await tab.getByRole("button", { name: "Write" }).click();
  await composer(tab).waitFor();
});

test("all of it goes by keyboard", async () => {
  await newsroom.post(channel, "First");
  const { tab } = await openEditor(browser, newsroom, channel);
  await listed(tab, "First").waitFor();
  await tab.keyboard.type("Second");
  await send(tab, "Second");
  await tab.keyboard.type("Third");
  await send(tab, "Third");

  const press = async (name: RegExp) => {
    for (let i = 0; i < 60; i++) {
      await tab.keyboard.press("Tab");
      const label = await tab.evaluate(
        () => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent,
      );
      if (name.test(label ?? "")) return tab.keyboard.press("Enter");
    }
    throw new Error(`Tab never came to ${name}`);
  };
  await press(/^Edit post/);
  await tab.keyboard.press("Control+a");
  await tab.keyboard.type("Third, edited");
  await tab.keyboard.press("Control+Enter");
  await listed(tab, "Third, edited")
    .getByRole("button", { name: /^Edit/ })
    .and(tab.locator(":focus"))
    .waitFor();
  await press(/^Delete post/);
  await tab.keyboard.press("Escape");
  await listed(tab, "Third, edited")
    .getByRole("button", { name: /^Delete/ })
    .and(tab.locator(":focus"))
    .waitFor();
  await tab.keyboard.press("Enter");
  await tab.keyboard.press("Shift+Tab");
  await tab.keyboard.press("Enter");
  await listed(tab, "Third, edited").waitFor({ state: "detached" });
  await listed(tab, "Second").getByRole("button", { name: /^Edit/ }).and(tab.locator(":focus")).waitFor();
  expect(await texts()).toEqual(["Second", "First"]);
});
