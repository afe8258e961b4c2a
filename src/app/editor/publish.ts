/** The new post: written, kept as a draft, published once. */
import type { Block, Post } from "../../pages/model.ts";
import { ApiError, createPost, getPost, updatePost } from "./api.ts";
import { sameContent } from "./blocks.ts";
import { type Composer, createComposer, NO_PICTURE } from "./composer.ts";
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
      h(
        "span",
        { class: "hint keys" },
        h("kbd", {}, /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl"),
        " ",
        h("kbd", {}, "Enter"),
        " publishes",
      ),
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
      if (!(await composer.uploaded())) return composer.fail(NO_PICTURE);
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
    if (attempt === undefined || Date.now() - attempt.time > ATTEMPT_LASTS) {
      attempt = { key: crypto.randomUUID(), post: { content, show }, time: Date.now() };
      keep();
    }
    const tried = attempt.post;
    try {
      let post = await createPost(channelId, tried, attempt.key);
      if (!sameContent(tried.content, content) || tried.show !== show) {
        post = await amend(post, content, show);
      }
      attempt = undefined;
      return post;
    } catch (failure) {
      if (!(failure instanceof ApiError && failure.unclear)) attempt = undefined;
      keep();
      throw failure;
    }
  }

  async function amend(post: Post, content: readonly Block[], show: boolean): Promise<Post> {
    try {
      return await updatePost(channelId, post.id, { content, show }, post.version);
    } catch (failure) {
      if (!(failure instanceof ApiError && (failure.code === "stale" || failure.code === "not_found"))) {
        throw failure;
      }
      const now = failure.code === "stale" ? await getPost(channelId, post.id) : null;
      if (now !== null && sameContent(now.content, content) && now.show === show) return now;
      throw new Error(
        "Your earlier try was published, and somebody else has changed it since: look at the posts below. " +
          "To publish this as another post, press Publish again.",
      );
    }
  }

  return composer;
}
