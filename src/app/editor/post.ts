/** One post in the list: what it says, its buttons, its editing, and what to do when two edit it at once. */
import type { Block, Post } from "../../pages/model.ts";
import { ApiError, deletePost, getPost, updatePost } from "./api.ts";
import { sameContent, showBlocks, showTime } from "./blocks.ts";
import { type Composer, createComposer, NO_PICTURE } from "./composer.ts";
import { announce, button, confirmInPlace, h, showError } from "./dom.ts";
import { dropDraft, readDraft, wouldLose, writeDraft } from "./drafts.ts";

export interface PostItem {
  readonly element: HTMLLIElement;
  readonly post: Post;
  /** Shows the post as it is now; an edit in progress stays and is told. */
  update(post: Post): void;
  /** Somebody deleted it. The item goes, unless it is being edited: then its editor decides. */
  gone(): void;
}

export interface PostItemEvents {
  /** Its post is gone, but what was written is to live on. */
  orphan(content: readonly Block[]): void;
  /** The item is done with. */
  removed(item: PostItem): void;
}

interface Edit {
  readonly composer: Composer;
  readonly panel: HTMLElement;
  /** What was typed, beside what somebody else wrote. */
  readonly yours: HTMLElement;
  /** What the edit began from: the version it may replace. */
  base: Pick<Post, "content" | "version">;
  saving: boolean;
}

export function postItem(channelId: string, first: Post, events: PostItemEvents): PostItem {
  let post = first;
  let deleted = false;
  let edit: Edit | null = null;

  const head = h("div", { class: "post-head" });
  const body = h("div", { class: "post-body" });
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const editButton = button("Edit", () => startEdit());
  const showButton = button("", toggleShow);
  const deleteButton = button("Delete", askToDelete);
  const actions = h("div", { class: "row links" }, editButton, showButton, deleteButton);
  const article = h("article", {}, head, body, actions, error);
  const element = h("li", { class: "post" }, article);

  const item: PostItem = {
    element,
    get post() {
      return post;
    },
    update(now) {
      if (now.version === post.version && !deleted) return;
      post = now;
      deleted = false;
      render();
      if (edit !== null && !edit.saving) compare();
    },
    gone() {
      deleted = true;
      if (edit === null) return remove();
      if (!edit.saving) compare();
    },
  };

  function remove(): void {
    stopEdit();
    element.remove();
    events.removed(item);
  }

  function render(): void {
    const when = showTime(post.created);
    head.replaceChildren(
      when,
      ...(post.modified > post.created ? [h("span", { class: "quietly" }, "edited")] : []),
      ...(post.show ? [] : [h("strong", { class: "badge" }, "Hidden from readers")]),
    );
    element.classList.toggle("is-hidden", !post.show);
    const name = `post of ${when.textContent}`;
    article.setAttribute("aria-label", post.show ? name : `${name}, hidden`);
    showButton.textContent = post.show ? "Hide" : "Show";
    editButton.setAttribute("aria-label", `Edit ${name}`);
    showButton.setAttribute("aria-label", `${showButton.textContent} ${name}`);
    deleteButton.setAttribute("aria-label", `Delete ${name}`);
    if (edit === null) body.replaceChildren(showBlocks(post.content));
  }

  // --- hide, show, delete --------------------------------------------------------------------------------

  /** Runs a change; if somebody was faster, shows what is there now and changes nothing. */
  async function attempt(change: () => Promise<void>): Promise<void> {
    try {
      await change();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      if (failure.code === "not_found") return item.gone();
      if (failure.code !== "stale") throw failure;
      item.update(await getPost(channelId, post.id));
      throw new Error("Somebody else has just changed this post. Look again before you go on.");
    }
  }

  async function toggleShow(): Promise<void> {
    const show = !post.show;
    showButton.disabled = true;
    showError(error, null);
    try {
      await attempt(async () => {
        item.update(await updatePost(channelId, post.id, { show }, post.version));
        announce(show ? "Shown to readers" : "Hidden from readers");
      });
    } catch (failure) {
      showError(error, failure);
    } finally {
      showButton.disabled = false;
      if (document.activeElement === document.body) showButton.focus();
    }
  }

  function askToDelete(): void {
    showError(error, null);
    confirmInPlace(actions, "Delete this post for all readers?", "Delete", async () => {
      await attempt(async () => {
        await deletePost(channelId, post.id, post.version);
        const next = (element.nextElementSibling ?? element.previousElementSibling)?.querySelector("button");
        dropDraft(channelId, post.id);
        remove();
        next?.focus();
        announce("Deleted");
      });
    });
  }

  // --- edit ----------------------------------------------------------------------------------------------

  function startEdit(focus = true): void {
    const draft = readDraft(channelId, post.id);
    const composer = createComposer({
      label: `Edit ${article.getAttribute("aria-label")}`,
      content: draft?.content ?? post.content,
      actions: [
        h("button", { class: "primary", "aria-keyshortcuts": "Control+Enter Meta+Enter" }, "Save"),
        button("Cancel", cancel, { class: "quiet" }),
      ],
      onInput: keep,
      onSubmit: save,
    });
    const panel = h("div", { class: "conflict", hidden: true });
    const yours = h("div");
    edit = { composer, panel, yours, base: draft?.base ?? post, saving: false };
    showError(error, null);
    actions.hidden = true;
    element.classList.add("editing");
    body.replaceChildren(panel, composer.element);
    compare();
    if (focus) composer.focus();
  }

  function stopEdit(): void {
    if (edit === null) return;
    wouldLose(item, false);
    dropDraft(channelId, post.id);
    edit.composer.setContent([]);
    edit = null;
    actions.hidden = false;
    element.classList.remove("editing");
    render();
  }

  /** Ends the edit and puts focus where it began. */
  function leave(): void {
    if (deleted) {
      remove();
      return;
    }
    stopEdit();
    editButton.focus();
  }

  function keep(): void {
    if (edit === null) return;
    const content = edit.composer.content();
    edit.yours.replaceChildren(showBlocks(content));
    const { version, content: before } = edit.base;
    const same = sameContent(content, before);
    if (same) dropDraft(channelId, post.id);
    wouldLose(
      item,
      !same && !writeDraft(channelId, post.id, { content, base: { version, content: before } }),
    );
  }

  function cancel(): void {
    if (edit === null) return;
    if (!deleted && sameContent(edit.composer.content(), post.content)) {
      leave();
      return;
    }
    const foot = edit.composer.element.querySelector<HTMLElement>(".actions")!;
    confirmInPlace(foot, "Discard what you changed?", "Discard", async () => leave(), "Keep editing");
  }

  async function save(): Promise<void> {
    if (edit === null) return;
    const mine = edit;
    const { composer } = mine;
    composer.fail(null);
    composer.setBusy(true);
    mine.saving = true;
    try {
      if (!(await composer.uploaded())) return composer.fail(NO_PICTURE);
      const content = composer.content();
      if (content.length === 0)
        return composer.fail("A post cannot be empty. Delete it, or write something.");
      await replace(mine, content);
    } catch (failure) {
      composer.fail(failure);
    } finally {
      mine.saving = false;
      composer.setBusy(false);
      if (edit === mine && compare()) mine.panel.querySelector("button")?.focus();
    }
  }

  async function replace(mine: Edit, content: readonly Block[]): Promise<void> {
    for (;;) {
      try {
        post = await updatePost(channelId, post.id, { content }, mine.base.version);
        deleted = false;
        leave();
        return announce("Saved");
      } catch (failure) {
        const code = failure instanceof ApiError ? failure.code : null;
        if (code === "not_found") {
          deleted = true;
          return;
        }
        if (code !== "stale") throw failure;
        post = await getPost(channelId, post.id);
        render();
        if (sameContent(post.content, content)) {
          leave();
          return announce("Saved");
        }
        // Only hidden or shown meanwhile: that is no conflict with what was written.
        if (!sameContent(post.content, mine.base.content)) return;
        mine.base = post;
      }
    }
  }

  // --- two editors ---------------------------------------------------------------------------------------

  /** Compares the edit with the post as it is now; shows the conflict if there is one. */
  function compare(): boolean {
    if (edit === null) return false;
    const { panel, composer, yours, base } = edit;
    if (deleted) {
      panel.replaceChildren(
        h("h3", { role: "alert" }, "Somebody else deleted this post while you were editing it."),
        h("div", { class: "row" }, button("Make mine a new post", moveToNew), button("Discard mine", remove)),
      );
    } else if (base.version === post.version) {
      panel.hidden = true;
      return false;
    } else if (sameContent(post.content, base.content)) {
      edit.base = post;
      keep();
      panel.hidden = true;
      return false;
    } else {
      yours.replaceChildren(showBlocks(composer.content()));
      panel.replaceChildren(
        h("h3", { role: "alert" }, "Somebody else changed this post while you were editing it."),
        h(
          "div",
          { class: "versions" },
          h("section", {}, h("h4", {}, "Theirs, as it is now"), showBlocks(post.content)),
          h("section", {}, h("h4", {}, "Yours, not published"), yours),
        ),
        h(
          "div",
          { class: "row" },
          button("Take theirs", leave),
          button("Publish mine over it", () => {
            if (edit === null) return;
            edit.base = post;
            panel.hidden = true;
            void save();
          }),
          button("Keep editing", () => {
            panel.hidden = true;
            composer.focus();
          }),
        ),
      );
    }
    panel.hidden = false;
    return true;
  }

  async function moveToNew(): Promise<void> {
    if (edit === null) return;
    const { composer } = edit;
    await composer.uploaded();
    const content = composer.content();
    remove();
    events.orphan(content);
  }

  render();
  if (readDraft(channelId, first.id) !== null) startEdit(false);
  return item;
}
