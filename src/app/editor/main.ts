/** Joins the parts: who is it, which page, what readers see. */
import { ApiError, closeSession, onLoggedOut, openSession } from "./api.ts";
import { announce, button, find, h } from "./dom.ts";
import { askForToken } from "./login.ts";
import { type PageView, pageView, readerPath } from "./page.ts";
import { editorPath, pageList } from "./pages.ts";

const main = find("#write");
const nav = find("#pages");
const menu = find<HTMLButtonElement>("#menu");
let current: PageView | null = null;
let channel: string | null = null;

// --- pages -----------------------------------------------------------------------------------------------

const pages = pageList((channelId) => {
  history.pushState(null, "", editorPath(channelId));
  open(channelId);
  current?.heading.focus();
});
nav.append(
  ...pages.elements,
  button(
    "Log out",
    async () => {
      await closeSession().catch(() => undefined);
      location.assign("/editor");
    },
    { class: "quiet logout" },
  ),
);

function open(channelId: string): void {
  current?.close();
  channel = channelId;
  current = pageView(channelId, {
    changed: pages.update,
    gone: (byUs) => {
      if (channel !== channelId) return;
      if (byUs) {
        announce("Page deleted");
        void start(null);
      } else nothing("This page does not exist any more.");
    },
  });
  main.replaceChildren(...current.elements);
  pages.select(channelId);
  showMenu(false);
  showReaders();
}

function openToWrite(channelId: string): void {
  open(channelId);
  current?.composer.focus();
}

function nothing(message: string): void {
  current?.close();
  current = null;
  channel = null;
  document.title = "Tidings";
  main.replaceChildren(h("p", { class: "empty" }, message));
  pages.select(null);
  showReaders();
}

/** Opens the page that is asked for, else the newest. */
async function start(channelId: string | null): Promise<void> {
  if (channelId !== null) openToWrite(channelId);
  let newest: Awaited<ReturnType<typeof pages.refresh>>;
  try {
    newest = await pages.refresh();
  } catch {
    return;
  }
  if (channelId !== null) return;
  if (newest !== null) {
    history.replaceState(null, "", editorPath(newest.channelId));
    openToWrite(newest.channelId);
    return;
  }
  history.replaceState(null, "", "/editor");
  nothing("No page yet. Make the first one.");
  showMenu(true);
  pages.startNew();
}

function asked(): string | null {
  return new URLSearchParams(location.search).get("page");
}

addEventListener("popstate", () => void start(asked()));

// --- the three panes -------------------------------------------------------------------------------------

function showMenu(open: boolean): void {
  menu.setAttribute("aria-expanded", String(open));
  document.body.classList.toggle("menu-open", open);
}
menu.onclick = () => showMenu(menu.getAttribute("aria-expanded") !== "true");
nav.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || menu.getAttribute("aria-expanded") !== "true") return;
  showMenu(false);
  menu.focus();
});

const switches = [...document.querySelectorAll<HTMLButtonElement>("[data-show]")];
for (const control of switches) {
  control.onclick = () => {
    document.body.dataset.view = control.dataset.show;
    for (const each of switches) each.setAttribute("aria-pressed", String(each === control));
    showReaders();
  };
}

/** The real page in a frame: whatever readers see is what is seen here. Not loaded where it is not shown. */
function showReaders(): void {
  const pane = find("#readers");
  const frame = pane.querySelector("iframe");
  const shown = getComputedStyle(pane).display !== "none";
  if (channel === null || !shown) {
    frame?.remove();
    return;
  }
  const src = new URL(readerPath(channel), location.href).href;
  if (frame?.src === src) return;
  frame?.remove();
  pane.append(h("iframe", { src, title: "The page as readers see it" }));
}
matchMedia("(min-width: 1100px)").onchange = showReaders;

// --- pictures dropped beside the composer ----------------------------------------------------------------

addEventListener("dragover", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
});
addEventListener("drop", (event) => {
  if (event.defaultPrevented || !event.dataTransfer?.files.length) return;
  event.preventDefault();
  current?.composer.addFiles(event.dataTransfer.files);
});

// --- who is it -------------------------------------------------------------------------------------------

onLoggedOut(() => askForToken());

const code = new URLSearchParams(location.hash.slice(1)).get("code");
if (location.hash) history.replaceState(null, "", location.pathname + location.search);
if (code !== null) {
  await openSession({ code }).catch((failure: unknown) => {
    const used = failure instanceof ApiError && failure.code === "unauthorized";
    return askForToken(
      used ? "This link is used or too old: it logs in once. Use the token." : String(failure),
    );
  });
}
await start(asked());
