/** Blocks as the editor shows and compares them. */
import type { Block } from "../../pages/model.ts";
import { imageUrl } from "./api.ts";
import { h } from "./dom.ts";

/** Whether two posts say the same (the server adds pictures' sizes; they don't count). */
export function sameContent(a: readonly Block[], b: readonly Block[]): boolean {
  const essence = (blocks: readonly Block[]) =>
    JSON.stringify(
      blocks.map((block) => [block.type, block.value, block.type === "image" ? (block.alt ?? "") : ""]),
    );
  return essence(a) === essence(b);
}

/** The blocks for the list: built from text, never by parsing a post's HTML into this page. */
export function showBlocks(blocks: readonly Block[]): HTMLElement {
  return h("div", { class: "content" }, ...blocks.map(showBlock));
}

function showBlock(block: Block): HTMLElement {
  switch (block.type) {
    case "text":
      return h("p", {}, block.value);
    case "html":
      return h("p", {}, textOf(block.value));
    case "image":
      return h(
        "figure",
        {},
        h("img", {
          src: imageUrl(block.value),
          alt: block.alt,
          loading: "lazy",
          decoding: "async",
          width: block.width,
          height: block.height,
        }),
        !block.alt && h("figcaption", {}, "No description"),
      );
    case "embed":
      return h(
        "p",
        {},
        /^https?:/i.test(block.value)
          ? h("a", { href: block.value, target: "_blank", rel: "noopener noreferrer" }, block.value)
          : block.value,
      );
  }
}

/** The words of some HTML, a line for each paragraph. A parsed document runs and loads nothing. */
function textOf(html: string): string {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  for (const br of body.querySelectorAll("br")) br.replaceWith("\n");
  for (const block of body.querySelectorAll("p, li, h2, h3, h4, blockquote, tr, figcaption, pre")) {
    block.append("\n");
  }
  for (const frame of body.querySelectorAll("iframe")) frame.replaceWith(`[${frame.src}]\n`);
  return body.textContent?.trim() || "[HTML]";
}

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayAndTime = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

/** When a post was written: the time, and the day unless it is today. */
export function showTime(milliseconds: number): HTMLTimeElement {
  const date = new Date(milliseconds);
  const today = date.toDateString() === new Date().toDateString();
  return h("time", { datetime: date.toISOString() }, (today ? time : dayAndTime).format(date));
}
