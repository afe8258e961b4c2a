/** Writing a post: its blocks, one below the other. Used for a new post and for editing one. */
import type { Block } from "../../pages/model.ts";
import { ApiError, imageUrl, uploadImage } from "./api.ts";
import { button, h, showError, uniqueId } from "./dom.ts";
import { wouldLose } from "./drafts.ts";

export interface Composer {
  readonly element: HTMLFormElement;
  /** What is written; empty blocks and pictures still on their way are left out. */
  content(): Block[];
  setContent(content: readonly Block[]): void;
  /** Resolves when no picture is on its way; `false` if one failed (it says so itself). */
  uploaded(): Promise<boolean>;
  /** Adds blocks below what is written. */
  append(content: readonly Block[]): void;
  addFiles(files: Iterable<File>): void;
  /** While `true` nothing can be typed or sent; focus stays. */
  setBusy(busy: boolean): void;
  /** Shows a failure at the block it is about, else above the buttons; `null` takes it away. */
  fail(failure: unknown): void;
  focus(): void;
}

export interface ComposerOptions {
  readonly label: string;
  readonly content: readonly Block[];
  /** The buttons at its foot. */
  readonly actions: readonly HTMLElement[];
  /** Something was typed, moved, added or removed. */
  readonly onInput: () => void;
  /** Ctrl+Enter, Cmd+Enter, or its submit button. */
  readonly onSubmit: () => void;
}

interface Row {
  readonly element: HTMLLIElement;
  readonly input: HTMLInputElement | HTMLTextAreaElement;
  readonly error: HTMLElement;
  /** `null`: nothing to publish in it (yet). */
  block(): Block | null;
  readonly upload?: { state: "going" | "done" | "failed"; end: Promise<void> };
}

/** Why nothing is published while a picture in the post has failed. */
export const NO_PICTURE: string = "A picture could not be added: try it again, or remove it.";

const PICTURES = "image/png,image/jpeg,image/gif,image/webp,image/avif";
const MAX_PICTURE = 10 * 2 ** 20;

export function createComposer(options: ComposerOptions): Composer {
  let rows: Row[] = [];
  let sent: Row[] = [];
  let busy = false;

  const list = h("ol", { class: "blocks" });
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const picker = h("input", {
    type: "file",
    accept: PICTURES,
    multiple: true,
    hidden: true,
    "aria-label": "Choose pictures",
    onchange: () => {
      addFiles(picker.files ?? []);
      picker.value = "";
    },
  });
  const element = h(
    "form",
    {
      class: "composer",
      "aria-label": options.label,
      onsubmit: (event: Event) => {
        event.preventDefault();
        if (!busy) options.onSubmit();
      },
      onkeydown: (event: KeyboardEvent) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
        event.preventDefault();
        if (!busy) options.onSubmit();
      },
      oninput: changed,
      onpaste: (event: ClipboardEvent) => {
        // Copied text often brings a picture of itself along: only a picture alone is meant as one.
        if (!event.clipboardData?.files.length || event.clipboardData.types.includes("text/plain")) return;
        event.preventDefault();
        addFiles(event.clipboardData.files);
      },
      ondragover: (event: DragEvent) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        element.classList.add("dropping");
      },
      ondragleave: (event: DragEvent) => {
        if (!element.contains(event.relatedTarget as Node | null)) element.classList.remove("dropping");
      },
      ondrop: (event: DragEvent) => {
        element.classList.remove("dropping");
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        addFiles(event.dataTransfer.files);
      },
    },
    list,
    h(
      "div",
      { class: "row tools", role: "group", "aria-label": "Add to the post" },
      button("Picture", () => picker.click()),
      button("Text", () => add(textRow(""), true)),
      button("Embed", () => add(embedRow(""), true)),
      button("HTML", () => add(htmlRow(""), true)),
    ),
    picker,
    error,
    h("div", { class: "row actions" }, ...options.actions),
  );

  element.addEventListener(
    "click",
    (event) => {
      if (!busy) return;
      event.preventDefault();
      event.stopPropagation();
    },
    { capture: true },
  );

  function changed(): void {
    wouldLose(
      element,
      rows.some((row) => row.upload?.state === "going"),
    );
    options.onInput();
  }

  function content(): Block[] {
    sent = rows.filter((row) => row.block() !== null);
    return sent.map((row) => row.block()!);
  }

  // --- rows ----------------------------------------------------------------------------------------------

  function add(row: Row, focus: boolean, at = rows.length): void {
    rows.splice(at, 0, row);
    list.insertBefore(row.element, list.children[at] ?? null);
    arrange();
    if (focus) row.input.focus();
  }

  function remove(row: Row): void {
    const at = rows.indexOf(row);
    rows.splice(at, 1);
    row.element.remove();
    if (rows.length === 0) add(textRow(""), false);
    arrange();
    (rows[at] ?? rows.at(-1)!).input.focus();
    changed();
  }

  function move(row: Row, by: -1 | 1, pressed: HTMLElement): void {
    const at = rows.indexOf(row);
    rows.splice(at, 1);
    rows.splice(at + by, 0, row);
    // Moving the neighbour leaves focus, selection and scroll of the moved block alone.
    const neighbour = rows[at]!.element;
    if (by < 0) row.element.after(neighbour);
    else row.element.before(neighbour);
    arrange();
    if (pressed.matches(":disabled")) row.input.focus();
    else pressed.focus();
    changed();
  }

  /** A lone text needs no buttons; the first cannot go up, the last not down. */
  function arrange(): void {
    const lone = rows.length === 1 && rows[0]!.element.dataset.type === "text";
    list.classList.toggle("lone", lone);
    rows.forEach((row, i) => {
      row.element.querySelector<HTMLButtonElement>(".up")!.disabled = i === 0;
      row.element.querySelector<HTMLButtonElement>(".down")!.disabled = i === rows.length - 1;
    });
  }

  function makeRow(
    type: Block["type"],
    name: string,
    input: Row["input"],
    parts: readonly (HTMLElement | null)[],
    rest: Pick<Row, "block" | "upload">,
  ): Row {
    input.id ||= uniqueId();
    const rowError = h("p", { class: "error", id: uniqueId(), role: "alert", hidden: true });
    input.setAttribute("aria-describedby", rowError.id);
    const up: HTMLButtonElement = button("↑", () => move(row, -1, up), {
      class: "up icon",
      "aria-label": `Move ${name} up`,
    });
    const down: HTMLButtonElement = button("↓", () => move(row, 1, down), {
      class: "down icon",
      "aria-label": `Move ${name} down`,
    });
    const row: Row = {
      element: h(
        "li",
        { class: "block", "data-type": type },
        h(
          "div",
          { class: "block-head" },
          h(type === "image" ? "span" : "label", { for: input.id, class: "name" }, name),
          up,
          down,
          button("✕", () => remove(row), { class: "icon", "aria-label": `Remove ${name}` }),
        ),
        ...parts,
        rowError,
      ),
      input,
      error: rowError,
      ...rest,
    };
    return row;
  }

  function textRow(value: string): Row {
    const input = h("textarea", { rows: 3, value, placeholder: "What is happening?", dir: "auto" });
    return makeRow("text", "Text", input, [input], {
      block: () => (input.value.trim() === "" ? null : { type: "text", value: input.value.trim() }),
    });
  }

  function htmlRow(value: string): Row {
    const input = h("textarea", { rows: 4, value, class: "code", spellcheck: "true", dir: "auto" });
    const wrap = (before: string, after: string) => () => {
      const { selectionStart: from, selectionEnd: to } = input;
      const selected = input.value.slice(from, to);
      input.focus();
      input.setRangeText(before + selected + after, from, to);
      input.setSelectionRange(from + before.length, from + before.length + selected.length);
      input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    };
    const tools = h(
      "div",
      { class: "row tools", role: "group", "aria-label": "Format the selection" },
      button("B", wrap("<strong>", "</strong>"), { class: "icon bold", "aria-label": "Bold" }),
      button("I", wrap("<em>", "</em>"), { class: "icon italic", "aria-label": "Italic" }),
      button("Link", wrap('<a href="https://">', "</a>")),
      button("Heading", wrap("<h3>", "</h3>")),
      button("Quote", wrap("<blockquote>", "</blockquote>")),
      button("List", wrap("<ul>\n  <li>", "</li>\n</ul>")),
    );
    return makeRow("html", "HTML", input, [tools, input], {
      block: () => (input.value.trim() === "" ? null : { type: "html", value: input.value }),
    });
  }

  function embedRow(value: string): Row {
    const input = h("input", { type: "url", value, placeholder: "https://", inputmode: "url" });
    const hint = h(
      "p",
      { class: "hint" },
      "A video, map or track plays in the page; any other address is a link.",
    );
    return makeRow("embed", "Embed", input, [input, hint], {
      block: () => (input.value.trim() === "" ? null : { type: "embed", value: input.value.trim() }),
    });
  }

  function imageRow(source: { value: string; alt: string } | File): Row {
    const alt = h("input", { type: "text", value: source instanceof File ? "" : source.alt, dir: "auto" });
    alt.id = uniqueId();
    const label = h("label", { for: alt.id }, "What it shows, for those who don’t see it");
    const img = h("img", { alt: "", class: "preview" });
    if (!(source instanceof File)) {
      img.src = imageUrl(source.value);
      return makeRow("image", "Picture", alt, [img, label, alt], {
        block: () => ({ type: "image", value: source.value, alt: alt.value.trim() }),
      });
    }
    let value: string | null = null;
    const local = URL.createObjectURL(source);
    img.src = local;
    img.onload = () => URL.revokeObjectURL(local);
    img.onerror = () => {
      img.hidden = true;
    };
    const progress = h("p", { class: "hint", role: "status" }, "Uploading…");
    const again = button("Try again", start, { hidden: true });
    const upload: NonNullable<Row["upload"]> = { state: "going", end: Promise.resolve() };
    const row = makeRow("image", "Picture", alt, [img, progress, again, label, alt], {
      upload,
      block: () => (value === null ? null : { type: "image", value, alt: alt.value.trim() }),
    });
    function start(): void {
      upload.state = "going";
      progress.textContent = "Uploading…";
      again.hidden = true;
      showError(row.error, null);
      upload.end = (async () => {
        try {
          value = (await stored(source as File)).id;
          upload.state = "done";
        } catch (failure) {
          upload.state = "failed";
          showError(row.error, failure);
          again.hidden = !(failure instanceof ApiError && failure.unclear);
        }
        progress.textContent = "";
        changed();
      })();
    }
    start();
    return row;
  }

  async function stored(file: File): Promise<{ id: string }> {
    if (file.size > MAX_PICTURE) {
      const size = (file.size / 2 ** 20).toFixed(1);
      throw new Error(`“${file.name}” has ${size} MB; a picture may have 10 MB.`);
    }
    return uploadImage(file);
  }

  function rowOf(block: Block): Row {
    switch (block.type) {
      case "text":
        return textRow(block.value);
      case "html":
        return htmlRow(block.value);
      case "embed":
        return embedRow(block.value);
      case "image":
        return imageRow({ value: block.value, alt: block.alt ?? "" });
    }
  }

  function addFiles(files: Iterable<File>): void {
    if (busy) return;
    for (const file of files) add(imageRow(file), true);
    changed();
  }

  function setContent(blocks: readonly Block[]): void {
    rows = [];
    list.replaceChildren();
    for (const block of blocks) add(rowOf(block), false);
    if (rows.length === 0) add(textRow(""), false);
    wouldLose(element, false);
  }

  function append(blocks: readonly Block[]): void {
    const [first] = rows;
    const untouched = rows.length === 1 && first!.element.dataset.type === "text" && first!.block() === null;
    if (untouched) setContent(blocks);
    else for (const block of blocks) add(rowOf(block), false);
    changed();
  }

  function fail(failure: unknown): void {
    for (const row of rows) {
      if (row.upload?.state !== "failed") showError(row.error, null);
      row.input.removeAttribute("aria-invalid");
    }
    showError(error, null);
    if (failure === null) return;
    const index = failure instanceof ApiError ? /^content\.(\d+)/.exec(failure.field ?? "")?.[1] : undefined;
    const row = index === undefined ? undefined : sent[Number(index)];
    showError(row?.error ?? error, failure);
    row?.input.setAttribute("aria-invalid", "true");
    row?.input.focus();
  }

  setContent(options.content);
  return {
    element,
    content,
    setContent,
    append,
    addFiles,
    fail,
    async uploaded() {
      await Promise.all(rows.map((row) => row.upload?.end));
      return rows.every((row) => row.upload?.state !== "failed");
    },
    setBusy(now) {
      busy = now;
      element.setAttribute("aria-busy", String(now));
      for (const control of element.querySelectorAll("button"))
        control.setAttribute("aria-disabled", String(now));
      for (const field of element.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>(
        "input, textarea",
      )) {
        field.readOnly = now;
      }
    },
    focus: () => rows[0]!.input.focus(),
  };
}
