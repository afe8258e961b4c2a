/** The list of pages, and making a new one. */
import type { Page } from "../../pages/model.ts";
import { createPage, listPages } from "./api.ts";
import { button, h, showError } from "./dom.ts";

export interface PageList {
  readonly elements: readonly HTMLElement[];
  /** Reads the list anew; resolves to the newest page, `null` when there is none. */
  refresh(): Promise<Page | null>;
  /** Marks the page that is open. */
  select(channelId: string | null): void;
  /** Shows a page's new title. */
  update(page: Page): void;
  /** Opens the form for a new page. */
  startNew(): void;
}

/** Where the editor of a page is. */
export function editorPath(channelId: string): string {
  return `/editor?page=${encodeURIComponent(channelId)}`;
}

/**
 * A title as a channel id: `"Élection 2026: résultats"` is `"election-2026-resultats"`.
 * A title without Latin letters or digits keeps its own.
 */
export function addressOf(title: string): string {
  const plain = title
    .normalize("NFKD")
    .replace(/\p{Mark}/gu, "")
    .toLowerCase();
  return plain
    .replace(/[^\p{Letter}\p{Number}]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 100);
}

export function pageList(open: (channelId: string) => void): PageList {
  let selected: string | null = null;
  let next: string | null = null;
  const list = h("ul", { class: "pages" });
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const more = button("More pages", () => void load(next), { class: "more quiet", hidden: true });
  const start = button("New page", startNew, { class: "new" });

  async function load(after: string | null): Promise<Page | null> {
    try {
      const part = await listPages(after);
      if (after === null) list.replaceChildren();
      for (const page of part.items) if (!linkOf(page.channelId)) list.append(entry(page));
      next = part.next;
      more.hidden = next === null;
      showError(error, null);
      mark();
      return part.items[0] ?? null;
    } catch (failure) {
      showError(error, failure);
      throw failure;
    }
  }

  function entry(page: Page): HTMLLIElement {
    const link = h(
      "a",
      {
        href: editorPath(page.channelId),
        dir: "auto",
        onclick: (event: MouseEvent) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          open(page.channelId);
        },
      },
      page.title,
    );
    link.dataset.channel = page.channelId;
    return h("li", {}, link);
  }

  function links(): HTMLAnchorElement[] {
    return [...list.querySelectorAll("a")];
  }

  function linkOf(channelId: string): HTMLAnchorElement | undefined {
    return links().find((link) => link.dataset.channel === channelId);
  }

  function mark(): void {
    for (const link of links()) {
      if (link.dataset.channel === selected) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  function startNew(): void {
    const title = h("input", {
      id: "new-title",
      type: "text",
      required: true,
      maxlength: 300,
      dir: "auto",
      oninput: () => {
        if (!address.dataset.typed) address.value = addressOf(title.value);
      },
    });
    const address = h("input", {
      id: "new-address",
      type: "text",
      required: true,
      maxlength: 255,
      spellcheck: "false",
      autocapitalize: "none",
      oninput: () => {
        address.dataset.typed = "yes";
      },
    });
    const failed = h("p", { class: "error", role: "alert", hidden: true });
    const form = h(
      "form",
      {
        class: "new-page",
        "aria-label": "New page",
        onsubmit: async (event: Event) => {
          event.preventDefault();
          try {
            const page = await createPage({ channelId: address.value.trim(), title: title.value.trim() });
            list.prepend(entry(page));
            leave();
            open(page.channelId);
          } catch (failure) {
            showError(failed, failure);
            address.focus();
          }
        },
        onkeydown: (event: KeyboardEvent) => {
          if (event.key !== "Escape") return;
          leave();
          start.focus();
        },
      },
      h("label", { for: "new-title" }, "Title"),
      title,
      h("label", { for: "new-address" }, "Address: /live/…"),
      address,
      failed,
      h(
        "div",
        { class: "row" },
        h("button", { class: "primary" }, "Create"),
        button("Cancel", leave, { class: "quiet" }),
      ),
    );
    function leave(): void {
      form.replaceWith(start);
    }
    start.replaceWith(form);
    title.focus();
  }

  return {
    elements: [h("h2", {}, "Pages"), start, error, list, more],
    refresh: () => load(null),
    select(channelId) {
      selected = channelId;
      mark();
    },
    update(page) {
      const link = linkOf(page.channelId);
      if (link) link.textContent = page.title;
      else list.prepend(entry(page));
      mark();
    },
    startNew: () => {
      if (start.isConnected) startNew();
    },
  };
}
