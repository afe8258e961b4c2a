import { expect, test } from "vitest";
import { field, listed, openEditor, publish, useDesk } from "../../support/editor.ts";

const desk = useDesk();

test("a thousand posts: some at once, the rest on the way down", async () => {
  for (let i = 1; i <= 1000; i += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, j) => desk.newsroom.post(desk.channel, `Post ${i + j}.`)),
    );
  }
  const { tab } = await openEditor(desk);
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

test("posts of others come and go without disturbing what is typed", async () => {
  const { tab } = await openEditor(desk);
  const input = field(tab);
  await input.fill("Half a sentence");
  await input.evaluate((field: HTMLTextAreaElement) => field.setSelectionRange(5, 6));
  const { id } = await desk.newsroom.post(desk.channel, "From the desk");
  await listed(tab, "From the desk").waitFor();
  await desk.newsroom.remove(desk.channel, id);
  await listed(tab, "From the desk").waitFor({ state: "detached" });
  await tab.keyboard.type("x");
  expect(await input.inputValue()).toBe("Half x sentence");
});

test("what happened while nothing was heard is there on return: new posts above, none lost below", async () => {
  for (let i = 1; i <= 60; i++) await desk.newsroom.post(desk.channel, `Post ${i}.`);
  const [newest] = await desk.newsroom.posts(desk.channel);
  const { tab } = await openEditor(desk, {
    prepare: (tab) => tab.routeWebSocket("**/ws/**", (socket) => void socket.close()),
  });
  await tab.locator(".post").nth(49).waitFor();
  await tab.getByText("No connection").waitFor();
  for (let i = 61; i <= 64; i++) await desk.newsroom.post(desk.channel, `Post ${i}.`);
  await desk.newsroom.remove(desk.channel, newest!.id);
  await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await listed(tab, "Post 64.").waitFor();
  await listed(tab, "Post 60.").waitFor({ state: "detached" });
  const shown = await tab.locator(".post .content").allTextContents();
  const wanted = [64, 63, 62, 61, ...Array.from({ length: 59 }, (_, i) => 59 - i)].map((i) => `Post ${i}.`);
  expect(shown).toEqual(wanted.slice(0, shown.length));
  expect(shown.length).toBeGreaterThanOrEqual(53);
});
