/** The page being written: its title and address, the new post, its posts. */
import type { Page } from "../../pages/model.ts";
import { deletePage, renamePage } from "./api.ts";
import type { Composer } from "./composer.ts";
import { announce, button, confirmInPlace, h, showError } from "./dom.ts";
import { postList } from "./posts.ts";
import { newPost } from "./publish.ts";

export interface PageView {
  readonly elements: readonly HTMLElement[];
  readonly heading: HTMLElement;
  readonly composer: Composer;
  close(): void;
}

export interface PageEvents {
  /** Its title, or anything else of it, changed. */
  changed(page: Page): void;
  /** It is deleted; `byUs`: here, on purpose. */
  gone(byUs: boolean): void;
}

/** The address of a page for its readers. */
export function readerPath(channelId: string): string {
  return `/live/${encodeURIComponent(channelId)}/`;
}

export function pageView(channelId: string, events: PageEvents): PageView {
  let title = channelId;
  const heading = h("h1", { tabindex: -1, dir: "auto" }, " ");
  const address = new URL(readerPath(channelId), location.href).href;
  const actions = h(
    "div",
    { class: "row links" },
    h("a", { href: address, target: "_blank", class: "button" }, "Open"),
    button("Copy link", async () => {
      try {
        await navigator.clipboard.writeText(address);
        announce("Link copied");
      } catch {
        announce(address);
      }
    }),
    button("Rename", rename),
    button("Delete page", () =>
      confirmInPlace(
        actions,
        `Delete “${title}” with all its posts? Readers lose it at once, for good.`,
        "Delete page",
        async () => {
          await deletePage(channelId);
          events.gone(true);
        },
      ),
    ),
  );

  function rename(): void {
    const input = h("input", {
      type: "text",
      id: "rename",
      value: title,
      maxlength: 300,
      required: true,
      dir: "auto",
    });
    const error = h("p", { class: "error", role: "alert", hidden: true });
    const form = h(
      "form",
      {
        onsubmit: async (event: Event) => {
          event.preventDefault();
          try {
            const page = await renamePage(channelId, input.value.trim());
            show(page);
            leave();
            announce("Renamed");
          } catch (failure) {
            showError(error, failure);
          }
        },
        onkeydown: (event: KeyboardEvent) => {
          if (event.key === "Escape") leave();
        },
      },
      h("label", { for: "rename" }, "Title"),
      input,
      h(
        "div",
        { class: "row" },
        h("button", { class: "primary" }, "Rename"),
        button("Cancel", leave, { class: "quiet" }),
      ),
      error,
    );
    function leave(): void {
      form.replaceWith(actions);
      actions.querySelectorAll("button")[1]?.focus();
    }
    actions.replaceWith(form);
    input.select();
  }

  function show(page: Page): void {
    title = page.title;
    heading.textContent = title;
    document.title = `${title} – Tidings`;
    events.changed(page);
  }

  const composer = newPost(channelId, (post) => posts.add(post));
  const posts = postList(channelId, {
    page: (page) => (page === null ? events.gone(false) : show(page)),
    orphan: (content) => {
      composer.append(content);
      composer.fail(
        "The post you were editing was deleted. What you wrote is here: publish it as a new post.",
      );
    },
  });

  return {
    elements: [h("header", { class: "page-head" }, heading, actions), composer.element, posts.element],
    heading,
    composer,
    close: posts.close,
  };
}
