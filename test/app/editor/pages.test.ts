import { expect, test } from "vitest";
import { composer, openEditor, publish, useDesk } from "../../support/editor.ts";

const desk = useDesk();

test("pages are made, opened, renamed and deleted", async () => {
  const { tab } = await openEditor(desk);
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

  await nav.getByRole("link", { name: desk.channel, exact: true }).click();
  await tab.getByRole("heading", { level: 1, name: desk.channel }).waitFor();
  await tab.goBack();
  await tab.getByRole("heading", { level: 1, name: "The night" }).waitFor();

  await tab.getByRole("button", { name: "Delete page" }).click();
  await tab.getByText("Readers lose it at once").waitFor();
  await tab.getByRole("group").getByRole("button", { name: "Delete page" }).click();
  await tab.getByRole("heading", { level: 1, name: desk.channel }).waitFor();
  expect(await nav.getByRole("link", { name: "The night" }).count()).toBe(0);
});

test("an address that is taken is said beside it, and what was typed stays", async () => {
  const { tab } = await openEditor(desk);
  const nav = tab.getByRole("navigation", { name: "Pages" });
  await nav.getByRole("button", { name: "New page" }).click();
  await nav.getByLabel("Title").fill("Another");
  await nav.getByLabel(/^Address/).fill(desk.channel);
  await tab.keyboard.press("Enter");
  await nav.locator(".error:not([hidden])").waitFor();
  expect(await nav.getByLabel("Title").inputValue()).toBe("Another");
});

test("a page with a name of its own kind can be written", async () => {
  const name = "été & -100123?#%2F__proto__";
  await desk.newsroom.page(name, "Été");
  const { tab } = await openEditor(desk, { channelId: name });
  await publish(tab, "Il fait chaud");
  expect(await desk.newsroom.posts(name)).toHaveLength(1);
});

test("a page that somebody else deletes is gone here at once", async () => {
  const { tab } = await openEditor(desk);
  await publish(tab, "The last words");
  await desk.newsroom.removePage(desk.channel);
  await tab.getByText("This page does not exist any more.").waitFor();
  expect(await composer(tab).count()).toBe(0);
});
