/** `<live-page>`: makes what is inside it live, or shows a live page of another site. Importing this registers it. */
import { backoff } from "./backoff.ts";
import { connect } from "./connect.ts";
import { parse, settleIn } from "./elsewhere.ts";
import type { LiveUpdate } from "./posts.ts";
import type { LiveState, WebsocketPublisher } from "./publisher.ts";

declare global {
  interface HTMLElementTagNameMap {
    "live-page": LivePageElement;
  }
  interface HTMLElementEventMap {
    "live-update": CustomEvent<LiveUpdate>;
    "live-state": CustomEvent<LiveState>;
  }
}

// A server that renders an application imports this, too.
const Base: typeof HTMLElement =
  globalThis.HTMLElement ?? (class {} as unknown as { new (): HTMLElement } & typeof HTMLElement);

/**
 * What keeps a post from breaking out of its column; so weak that any rule of the site's wins. A post from elsewhere
 * may name classes of the site's: not even as "fixed" may it lie over the rest of the page.
 */
const STYLE = `:where(live-page){display:block;overflow-wrap:anywhere}
:where(live-page[src]){contain:layout paint}
:where(live-page :is(img,iframe)){max-width:100%;border:0}
:where(live-page :is(img,.live-embed-video)){height:auto}
:where(live-page .live-embed-video){aspect-ratio:16/9}
:where(live-page :is(pre,table)){display:block;overflow:auto;overflow-wrap:normal}`;

/**
 * A live page as an element. With a list of posts inside (`livePosts()` of the server that renders the site), it
 * follows that. With `src`, the URL of a page on a Tidings server, it shows and follows that page; until it
 * can be fetched, and as long as it cannot, what was written inside the element stays.
 *
 * Its content is of the document, not in a shadow tree: the site's styles apply.
 *
 * @fires live-update `detail` is the {@link LiveUpdate}; bubbles. Also when `src` was loaded.
 * @fires live-state `detail` is the new {@link LivePageElement.state}; bubbles.
 *
 * @example
 * <live-page src="https://live.example/live/finals/">
 *   <a href="https://live.example/live/finals/">The final, live</a>
 * </live-page>
 */
export class LivePageElement extends Base {
  static readonly observedAttributes: readonly string[] = ["src"];

  readonly #internals: ElementInternals | undefined = this.attachInternals?.();
  readonly #observer: MutationObserver = new MutationObserver(() => this.#settle());
  /** Looks once after all that a script does to the element in one go: being moved is no reason to reconnect. */
  readonly #plan = (): void => {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    queueMicrotask(() => {
      this.#isPlanned = false;
      this.#settle();
    });
  };
  #isPlanned = false;
  #state: LiveState = "offline";
  /** The `src` that all below is about. */
  #src: string | undefined;
  /** Of the page that was fetched: after redirects. */
  #page: URL | undefined;
  /** What the fetched list took the place of. */
  #fallback: Node[] | undefined;
  /** The lists that came with an earlier `src`. */
  readonly #stale: WeakSet<HTMLElement> = new WeakSet();
  #list: HTMLElement | undefined;
  #live: WebsocketPublisher | undefined;
  #loading: AbortController | undefined;

  /** The URL of the page to show, absolute; `""`: the one that is inside. */
  get src(): string {
    const src = this.getAttribute("src") ?? "";
    return src && (parse(src, document.baseURI)?.href ?? src);
  }

  set src(url: string) {
    this.setAttribute("src", url);
  }

  /** How the page stands to its server. `offline` also when there is nothing to follow. */
  get state(): LiveState {
    return this.#state;
  }

  connectedCallback(): void {
    this.#plan();
  }

  disconnectedCallback(): void {
    this.#plan();
  }

  attributeChangedCallback(): void {
    this.#plan();
  }

  /** Follows what is there to be followed now. */
  #settle(): void {
    if (!this.isConnected) {
      this.#observer.disconnect();
      this.#leave();
      this.#setState("offline");
      return;
    }
    this.#observer.observe(this, { childList: true, subtree: true });
    const { src } = this;
    if (src !== this.#src) {
      if (src && this.#src !== undefined && this.#list) this.#stale.add(this.#list);
      this.#leave();
      if (this.#fallback) this.replaceChildren(...this.#fallback);
      this.#fallback = this.#page = undefined;
      this.#src = src;
    }
    if (!isParsed(this)) {
      document.addEventListener("DOMContentLoaded", this.#plan, { once: true });
      return;
    }
    // Each update of a post comes by here: no reason to search all of them.
    if (this.#list?.closest("live-page") === this) return;
    const list = this.#find();
    if (list || this.#list) this.#leave();
    if (list) this.#follow(list);
    else if (src && !this.#loading) void this.#load(src);
    else if (!src) this.#setState("offline");
  }

  #find(): HTMLElement | undefined {
    const lists = this.querySelectorAll<HTMLElement>('[data-channel-id]:not([data-channel-id=""])');
    return [...lists].find((list) => !this.#stale.has(list) && list.closest("live-page") === this);
  }

  #follow(list: HTMLElement): void {
    const page = this.#page ?? parse(this.#src ?? "");
    if (page) settleIn(list, page);
    this.#list = list;
    const live = connect({
      target: list,
      ...(page && { url: serverOf(page), pageUrl: page.href }),
      onUpdate: (update) => this.#tell("live-update", update),
      onState: (state) => {
        if (this.#live === live) this.#setState(state);
      },
    });
    this.#live = live;
    this.#setState(live.state);
  }

  /** The page stays as it is, and is no longer followed. */
  #leave(): void {
    this.#loading?.abort();
    this.#live?.close();
    this.#loading = this.#live = this.#list = undefined;
    this.#setBusy(false);
  }

  async #load(src: string): Promise<void> {
    const loading = new AbortController();
    const { signal } = loading;
    this.#loading = loading;
    this.#setBusy(true);
    for (let attempt = 0; ; attempt++) {
      this.#setState("connecting");
      let isGone = false;
      let reason: unknown;
      try {
        const response = await fetch(src, { signal });
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        if (signal.aborted) return;
        const list = page.querySelector<HTMLElement>('[data-channel-id]:not([data-channel-id=""])');
        if (response.ok && list) return this.#show(list, page.title, new URL(response.url));
        isGone = response.status === 404 || response.status === 410;
        reason = response.ok ? "it has no list of posts with a data-channel-id" : response.status;
      } catch (error) {
        if (signal.aborted) return;
        const isOurs = parse(src)?.origin === location.origin;
        reason = `${error}${isOurs ? "" : `; if its server is up, TIDINGS_ORIGINS there must name ${location.origin}`}`;
      }
      if (attempt === 0 || isGone) console.error(`[tidings] [live-page] cannot show ${src}: ${reason}`);
      this.#setState(isGone ? "offline" : "waiting");
      if (isGone) return this.#setBusy(false);
      await new Promise((resolve) => setTimeout(resolve, backoff(attempt)));
      if (signal.aborted) return;
    }
  }

  #show(fetched: HTMLElement, title: string, page: URL): void {
    this.#page = page;
    this.#fallback = [...this.childNodes];
    // Before it is part of this document.
    const list = settleIn(fetched, page);
    // The site may have a list of its own, or show several pages.
    if (document.getElementById(list.id)) list.removeAttribute("id");
    list.setAttribute("role", "feed");
    list.setAttribute("aria-label", title);
    this.replaceChildren(list);
    this.#settle();
    const posts = list.querySelectorAll<HTMLElement>(".live-post-wrapper:not([hidden]) > .live-post");
    if (posts.length) this.#tell("live-update", { added: [...posts].reverse(), changed: [], removed: [] });
  }

  #setState(state: LiveState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#tell("live-state", state);
  }

  #setBusy(isBusy: boolean): void {
    if (this.#internals) this.#internals.ariaBusy = isBusy ? "true" : null;
  }

  #tell<T>(type: "live-update" | "live-state", detail: T): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true }));
  }
}

/** Whether the parser is past the element's end: before, half of a list may be missing. */
function isParsed(element: Node): boolean {
  for (let node: Node | null = element; node; node = node.parentNode) if (node.nextSibling) return true;
  return document.readyState !== "loading";
}

/** A Tidings server behind a path of its own has its sockets below that path, too. */
function serverOf({ origin, pathname }: URL): string {
  return origin + (/^(.*)\/live\/[^/]+\/?$/.exec(pathname)?.[1] ?? "");
}

if (globalThis.customElements && !customElements.get("live-page")) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  document.adoptedStyleSheets.push(sheet);
  customElements.define("live-page", LivePageElement);
}
