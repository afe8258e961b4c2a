import type { Page as Tab } from "playwright-core";
import { expect, test } from "vitest";
import { composer, field, listed, openEditor, useDesk } from "../../support/editor.ts";

const desk = useDesk();

async function editing(text: string): Promise<{ tab: Tab; id: string; mine: () => Promise<string> }> {
  const post = await desk.newsroom.post(desk.channel, "As it was");
  const { tab } = await openEditor(desk);
  await listed(tab, "As it was").getByRole("button", { name: /^Edit/ }).click();
  const input = tab.getByRole("form", { name: /^Edit/ }).getByLabel("Text", { exact: true });
  await input.fill(text);
  return { tab, id: post.id, mine: () => input.inputValue() };
}

test("a change by somebody else is told while typing; theirs can be taken", async () => {
  const { tab, id, mine } = await editing("Mine");
  await desk.newsroom.change(desk.channel, id, { content: "Theirs" });
  const conflict = tab.locator(".conflict");
  await conflict.getByText("Somebody else changed this post").waitFor();
  expect(await conflict.locator("section").allInnerTexts()).toEqual([
    expect.stringContaining("Theirs"),
    expect.stringContaining("Mine"),
  ]);
  expect(await mine()).toBe("Mine");
  await conflict.getByRole("button", { name: "Take theirs" }).click();
  await listed(tab, "Theirs").waitFor();
  expect(await desk.texts()).toEqual(["Theirs"]);
});

test("saving over a change that was not answered is refused until the editor chooses", async () => {
  const { tab, id, mine } = await editing("Mine");
  await desk.newsroom.change(desk.channel, id, { content: "Theirs" });
  const conflict = tab.locator(".conflict");
  await conflict.getByRole("button", { name: "Keep editing" }).click();
  await conflict.waitFor({ state: "hidden" });
  await tab.keyboard.press("Control+Enter");
  await conflict.waitFor();
  expect(await desk.texts()).toEqual(["Theirs"]);
  expect(await mine()).toBe("Mine");

  await desk.newsroom.change(desk.channel, id, { content: "Theirs again" });
  await conflict.getByText("Theirs again").waitFor();
  await conflict.getByRole("button", { name: "Publish mine over it" }).click();
  await tab.getByRole("form", { name: /^Edit/ }).waitFor({ state: "detached" });
  expect(await desk.texts()).toEqual(["Mine"]);
});

test("a change nobody heard of is still a conflict", async () => {
  const { tab, id } = await editing("Mine");
  await tab.route(`**/posts/${id}`, async (route) => {
    if (route.request().method() === "PATCH")
      await desk.newsroom.change(desk.channel, id, { content: "Theirs" });
    await route.continue();
  });
  await tab.keyboard.press("Control+Enter");
  await tab.locator(".conflict").getByText("Theirs", { exact: true }).waitFor();
  expect(await desk.texts()).toEqual(["Theirs"]);
});

test("hidden by somebody else meanwhile is no conflict: it is saved, and stays hidden", async () => {
  const { tab, id } = await editing("Mine");
  await desk.newsroom.change(desk.channel, id, { show: false });
  await tab.getByText("Hidden from readers").waitFor();
  expect(await tab.locator(".conflict").isVisible()).toBe(false);
  await tab.keyboard.press("Control+Enter");
  await tab.getByRole("form", { name: /^Edit/ }).waitFor({ state: "detached" });
  expect((await desk.newsroom.posts(desk.channel))[0]).toMatchObject({
    show: false,
    content: [{ value: "Mine" }],
  });
});

test("deleted by somebody else meanwhile: what was written can become a new post", async () => {
  const { tab, id } = await editing("Mine");
  await desk.newsroom.remove(desk.channel, id);
  await tab.getByText("Somebody else deleted this post").waitFor();
  await tab.getByRole("button", { name: "Make mine a new post" }).click();
  expect(await field(tab).inputValue()).toBe("Mine");
  await composer(tab).getByRole("button", { name: "Publish" }).click();
  await expect.poll(desk.texts).toEqual(["Mine"]);
});

test("hiding and deleting what has just changed are refused, and the change is shown", async () => {
  const { id } = await desk.newsroom.post(desk.channel, "As it was");
  const { tab } = await openEditor(desk);
  await listed(tab, "As it was").waitFor();
  let changes = 0;
  await tab.route(`**/posts/${id}`, async (route) => {
    if (route.request().method() !== "GET") {
      changes += 1;
      await desk.newsroom.change(desk.channel, id, { content: `Theirs ${changes}` });
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
  expect((await desk.newsroom.posts(desk.channel))[0]).toMatchObject({ show: true });
});

test("an edit survives a reload, with the conflict it missed", async () => {
  const { tab, id } = await editing("Mine");
  await tab.goto("about:blank");
  await desk.newsroom.change(desk.channel, id, { content: "Theirs" });
  await tab.goto(`${desk.newsroom.url}/editor?page=${desk.channel}`);
  await tab.locator(".conflict").getByText("Theirs", { exact: true }).waitFor();
  expect(
    await tab.getByRole("form", { name: /^Edit/ }).getByLabel("Text", { exact: true }).inputValue(),
  ).toBe("Mine");
});

test("an edit whose post was deleted while the editor was away is not lost", async () => {
  const { tab, id } = await editing("Mine");
  await tab.goto("about:blank");
  await desk.newsroom.remove(desk.channel, id);
  await tab.goto(`${desk.newsroom.url}/editor?page=${desk.channel}`);
  await composer(tab).getByText("What you wrote is here").waitFor();
  expect(await field(tab).inputValue()).toBe("Mine");
});
