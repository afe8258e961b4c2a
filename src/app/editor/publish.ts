/** The new post: written, kept as a draft, published once. */
import type { Block, Post } from "../../pages/model.ts";
import { ApiError, createPost, type NewPost, updatePost } from "./api.ts";
import { sameContent } from "./blocks.ts";
import { type Composer, createComposer } from "./composer.ts";
import { announce, button, h } from "./dom.ts";
import { dropDraft, readDraft, wouldLose, writeDraft } from "./drafts.ts";

/** Idempotency keys are kept for a day at least; an older attempt cannot be asked about. */
const ATTEMPT_LASTS = 20 * 60 * 60 * 1000;

/** The composer for a page's new post; `onPublished` gets what was made of it. */
export function newPost(channelId: string, onPublished: (post: Post) => void): Composer {
  const draft = readDraft(channelId, null);
  let attempt = draft?.attempt;

  const composer = createComposer({
    label: "New post",
    content: draft?.content ?? [],
    actions: [
      h("button", { class: "primary", "aria-keyshortcuts": "Control+Enter Meta+Enter" }, "Publish"),
      button("Save hidden", () => publish(false), { class: "quiet" }),
      h("span", { class: "hint keys" }, h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter"), " publishes"),
    ],
    onInput: keep,
    onSubmit: () => publish(true),
  });

  function keep(): void {
    const content = composer.content();
    const empty = content.length === 0 && attempt === undefined;
    if (empty) dropDraft(channelId, null);
    wouldLose(composer, !empty && !writeDraft(channelId, null, { content, attempt }));
  }

  async function publish(show: boolean): Promise<void> {
    composer.fail(null);
    composer.setBusy(true);
    try {
      if (!(await composer.uploaded())) return;
      const content = composer.content();
      if (content.length === 0) return composer.fail("Write something first.");
      const post = await send(content, show);
      composer.setContent([]);
      keep();
      announce(show ? "Published" : "Saved, hidden from readers");
      onPublished(post);
    } catch (failure) {
      composer.fail(failure);
    } finally {
      const inside =
        composer.element.contains(document.activeElement) || document.activeElement === document.body;
      composer.setBusy(false);
      if (inside && composer.content().length === 0) composer.focus();
    }
  }

  /**
   * Sends the post. If an earlier attempt was never answered, asks about that one first, with its key: it is
   * made now if it was not then. What was changed since becomes its edit, so nothing is ever there twice.
   */
  async function send(content: readonly Block[], show: boolean): Promise<Post> {
    if (attempt !== undefined && Date.now() - attempt.time < ATTEMPT_LASTS) {
      const post = await tried(attempt.key, attempt.post);
      if (sameContent(attempt.post.content, content) && attempt.post.show === show) return post;
      return updatePost(channelId, post.id, { content, show }, post.version);
    }
    attempt = { key: crypto.randomUUID(), post: { content, show }, time: Date.now() };
    keep();
    return tried(attempt.key, attempt.post);
  }

  async function tried(key: string, post: NewPost): Promise<Post> {
    try {
      const made = await createPost(channelId, post, key);
      attempt = undefined;
      return made;
    } catch (failure) {
      if (!(failure instanceof ApiError && failure.unclear)) attempt = undefined;
      keep();
      throw failure;
    }
  }

  return composer;
}
