import { expect, test } from "vitest";
import { composer, field, listed, openEditor, publish, useDesk } from "../../support/editor.ts";

const desk = useDesk();

test("a post saved hidden reaches no reader until it is shown", async () => {
  const { tab } = await openEditor(desk);
  await field(tab).fill("The winner is …");
  await composer(tab).getByRole("button", { name: "Save hidden" }).click();
  await listed(tab, "The winner is …").getByText("Hidden from readers").waitFor();
  const page = async () => (await fetch(`${desk.newsroom.url}/live/${desk.channel}/`)).text();
  expect(await page()).not.toContain("The winner");
  await listed(tab, "The winner is …").getByRole("button", { name: /^Show/ }).click();
  await expect.poll(page).toContain("The winner");
});

test("nothing is published when nothing is written", async () => {
  const { tab } = await openEditor(desk);
  await field(tab).fill("  \n ");
  await tab.keyboard.press("Control+Enter");
  await composer(tab).getByText("Write something first.").waitFor();
  expect(await desk.texts()).toEqual([]);
});

test("a draft is gone once it is published", async () => {
  const { tab } = await openEditor(desk);
  await publish(tab, "Out");
  await tab.reload();
  await listed(tab, "Out").waitFor();
  expect(await field(tab).inputValue()).toBe("");
});

test("an answer that is lost never doubles a post, not even when the text is changed before the next try", async () => {
  const { tab } = await openEditor(desk);
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
  await field(tab).fill("Once");
  await tab.keyboard.press("Control+Enter");
  await composer(tab).getByText("does not answer").waitFor();
  await tab.keyboard.press("Control+Enter");
  await tab.getByText("Published", { exact: true }).waitFor();
  expect(await desk.texts()).toEqual(["Once"]);

  await cut(1);
  await field(tab).fill("Twise");
  await tab.keyboard.press("Control+Enter");
  await composer(tab).getByText("does not answer").waitFor();
  await tab.reload();
  await field(tab).fill("Twice");
  await tab.keyboard.press("Control+Enter");
  await tab.getByText("Published", { exact: true }).waitFor();
  expect(await desk.texts()).toEqual(["Twice", "Once"]);
});
