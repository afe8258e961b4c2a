import { expect, test } from "vitest";
import { composer, field, listed, openEditor, publish, send, useDesk } from "../../support/editor.ts";
import { png } from "../../support/png.ts";

const desk = useDesk();

test("what is written, edited, hidden, shown and deleted is so for a reader, without reload", async () => {
  await desk.newsroom.post(desk.channel, "First words");
  const { context, tab } = await openEditor(desk);
  const reader = await context.newPage();
  await reader.goto(`${desk.newsroom.url}/live/${desk.channel}/`);
  await reader.evaluate(() => Object.assign(window, { same: true }));
  const seen = () => reader.locator(".live-post-wrapper:not([hidden]) .live-post-content").allInnerTexts();

  await tab.bringToFront();
  await publish(tab, "Goal!");
  await expect.poll(seen).toEqual(["Goal!", "First words"]);
  expect(await field(tab).inputValue()).toBe("");

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
  expect(await desk.texts()).toEqual(["Goal!", "Better words"]);
  await listed(tab, "Goal!")
    .getByRole("button", { name: /^Delete/ })
    .click();
  await listed(tab, "Goal!").getByRole("button", { name: "Delete", exact: true }).click();
  await expect.poll(seen).toEqual(["Better words"]);
  expect(await listed(tab, "Goal!").count()).toBe(0);
  expect(await reader.evaluate(() => "same" in window)).toBe(true);
});

test("the pane beside it is the readers' own page, live", async () => {
  const { tab } = await openEditor(desk);
  await publish(tab, "Seen at once");
  await tab
    .frameLocator("#readers iframe")
    .locator(".live-post-content", { hasText: "Seen at once" })
    .waitFor();
});

test("a session that ends asks for the token, then goes on with what was sent", async () => {
  const { context, tab } = await openEditor(desk);
  await field(tab).fill("Written before");
  await context.clearCookies();
  await tab.keyboard.press("Control+Enter");
  const dialog = tab.getByRole("dialog");
  await dialog.getByLabel("Token").fill("wrong");
  await tab.keyboard.press("Enter");
  await dialog.locator(".error:not([hidden])").waitFor();
  await dialog.getByLabel("Token").fill(desk.newsroom.token);
  await tab.keyboard.press("Enter");
  await listed(tab, "Written before").waitFor();
  expect(await desk.texts()).toEqual(["Written before"]);
});

test("a link's code logs in once and leaves the address bar", async () => {
  const context = await desk.browser.newContext();
  const tab = await context.newPage();
  await tab.goto(desk.newsroom.link);
  await tab.getByRole("form", { name: "New post" }).waitFor();
  expect(tab.url()).not.toContain("code");
  const second = await (await desk.browser.newContext()).newPage();
  await second.goto(desk.newsroom.link);
  await second.getByRole("dialog").getByText("logs in once").waitFor();
  expect(second.url()).not.toContain("code");
  await second.getByLabel("Token").fill(desk.newsroom.token);
  await second.keyboard.press("Enter");
  await second.getByRole("form", { name: "New post" }).waitFor();
});

test("the page's policy allows nothing inline, and the page needs nothing more", async () => {
  const context = await desk.browser.newContext();
  const tab = await context.newPage();
  const violations: string[] = [];
  tab.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) violations.push(message.text());
  });
  const response = await tab.goto(`${desk.newsroom.url}/editor`);
  expect(response!.headers()["content-security-policy"]).toMatch(/default-src 'none'.*script-src 'self'/);
  expect(response!.headers()["content-security-policy"]).not.toContain("unsafe");
  await tab.getByLabel("Token").fill(desk.newsroom.token);
  await tab.keyboard.press("Enter");
  await composer(tab)
    .locator("input[type=file]")
    .setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png(8, 8) });
  await publish(tab, "Within the policy");
  await tab.frameLocator("#readers iframe").getByText("Within the policy").waitFor();
  expect(violations).toEqual([]);
});

test("on a phone nothing is cut off, all there is to press is 44 pixels or more, and every view is a tap away", async () => {
  await desk.newsroom.post(desk.channel, `A long word: ${"x".repeat(300)}`);
  const { tab } = await openEditor(desk);
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
    .getByRole("link", { name: desk.channel, exact: true })
    .waitFor();
  expect(await small()).toEqual([]);
  await menu.click();
  await tab.getByRole("button", { name: "Readers see" }).click();
  await tab.frameLocator("#readers iframe").getByText("A long word").waitFor();
  await tab.getByRole("button", { name: "Write" }).click();
  await composer(tab).waitFor();
});

test("all of it goes by keyboard", async () => {
  await desk.newsroom.post(desk.channel, "First");
  const { tab } = await openEditor(desk);
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
  expect(await desk.texts()).toEqual(["Second", "First"]);
});
