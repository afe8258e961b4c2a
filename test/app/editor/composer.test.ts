import { expect, test } from "vitest";
import { composer, field, listed, openEditor, useDesk } from "../../support/editor.ts";
import { png } from "../../support/png.ts";

const desk = useDesk();

test("blocks are published in their order, and moved and removed before that", async () => {
  const { tab } = await openEditor(desk);
  const form = composer(tab);
  await field(tab).fill("one");
  await form.getByRole("button", { name: "HTML" }).click();
  await tab.keyboard.type("<b>two</b>");
  await form.getByRole("button", { name: "Embed", exact: true }).click();
  await tab.keyboard.type("https://example.org/three");
  await form.getByRole("button", { name: "Move Embed up" }).click();
  await form.getByRole("button", { name: "Move Embed up" }).click();
  await form.getByRole("button", { name: "Remove Text" }).click();
  await tab.keyboard.press("Control+Enter");
  await listed(tab, "two").waitFor();
  expect(await desk.texts()).toEqual(["https://example.org/three|<b>two</b>"]);
});

test("a refused block says why, where it is, and keeps everything", async () => {
  const { tab } = await openEditor(desk);
  await field(tab).fill("good");
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
  expect(await desk.texts()).toEqual([]);
});

test("pictures are chosen, dropped and pasted", async () => {
  const { tab } = await openEditor(desk);
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
  const [post] = await desk.newsroom.posts(desk.channel);
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
  const { tab } = await openEditor(desk);
  const form = composer(tab);
  await field(tab).fill("With a picture");
  await form
    .locator("input[type=file]")
    .setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("<svg onload=alert(1)>") });
  await form.locator("[data-type=image] .error:not([hidden])").waitFor();
  await tab.keyboard.press("Control+Enter");
  await form.getByText("could not be added").waitFor();
  expect(await desk.texts()).toEqual([]);
  await form.getByRole("button", { name: "Remove Picture" }).click();
  await tab.keyboard.press("Control+Enter");
  await listed(tab, "With a picture").waitFor();
  expect(await desk.texts()).toEqual(["With a picture"]);
});

test("leaving warns while a picture is on its way, not when all is kept", async () => {
  const { tab } = await openEditor(desk);
  await field(tab).fill("Kept as a draft");
  const asked: string[] = [];
  tab.on("dialog", async (dialog) => {
    asked.push(dialog.type());
    await dialog.accept();
  });
  await tab.reload();
  expect(asked).toEqual([]);
  expect(await field(tab).inputValue()).toBe("Kept as a draft");

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
