/** The real client (`src/client`) in a page without a browser: a DOM, and the network of the model under its globals. */
import { DOMParser, parseHTML } from "linkedom";
import { FallbackPublisher } from "../../src/client/fallback.ts";
import { GenericWebsocketPublisher } from "../../src/client/generic.ts";
import type { Line, Network, Opened } from "./network.ts";
import type { OpenPage, ReaderParts } from "./reader.ts";
import { markOf, type Seen } from "./truth.ts";

/** How long a page out of sight keeps its connection here. */
const HIDDEN_AFTER_MS = 3_000;

/** One reader's window: what is asked of it goes to the globals while it is the one that acts. */
interface Window {
  readonly events: EventTarget;
  isHidden: boolean;
}

export interface Browsers {
  /** @param isPlain whether it knows WebSockets alone. */
  open(parts: Pick<ReaderParts, "line" | "html" | "transport" | "changed">, isPlain?: boolean): OpenPage;
  uninstall(): void;
}

/** Puts what browsers have into this process's globals. */
export function installBrowsers(network: Pick<Network, "socket" | "stream" | "get">): Browsers {
  const { document, HTMLElement, HTMLFormElement } = parseHTML("<!doctype html><html><body></body></html>");
  const lines = new Map<string, Line>();
  let active: Window = { events: new EventTarget(), isHidden: false };

  const listen: EventTarget["addEventListener"] = (...listening) =>
    active.events.addEventListener(...listening);
  const lineOf = (url: URL) => lines.get(url.hostname)!;
  const pathOf = ({ pathname, search }: URL) => pathname + search;

  class WebSocket {
    onopen = () => {};
    onmessage = (_: { data: string }) => {};
    onclose = () => {};
    readonly #opened: Opened;
    constructor(address: string) {
      const url = new URL(address);
      this.#opened = network.socket(lineOf(url), pathOf(url), {
        opened: () => this.onopen(),
        received: (data) => this.onmessage({ data }),
        lost: () => this.onclose(),
      });
    }
    close(): void {
      this.#opened.close();
    }
  }

  class EventSource {
    onmessage = (_: { data: string }) => {};
    onerror = () => {};
    readonly #opened: Opened;
    constructor(address: string) {
      const url = new URL(address);
      this.#opened = network.stream(lineOf(url), pathOf(url), undefined, {
        opened() {},
        received: (data) => this.onmessage({ data }),
        lost: () => this.onerror(),
      });
    }
    close(): void {
      this.#opened.close();
    }
  }

  async function fetch(address: string | URL, { signal }: { signal?: AbortSignal } = {}) {
    const url = new URL(address);
    const { status, text } = await network.get(lineOf(url), pathOf(url), signal);
    return { status, ok: status >= 200 && status < 300, text: async () => text };
  }

  const globals: Record<string, unknown> = {
    document: {
      createElement: document.createElement.bind(document),
      body: document.body,
      documentElement: document.documentElement,
      get hidden() {
        return active.isHidden;
      },
      addEventListener: listen,
    },
    addEventListener: listen,
    location: { protocol: "http:", host: "page", href: "http://page/" },
    navigator: { onLine: true },
    HTMLElement,
    HTMLFormElement,
    DOMParser,
    WebSocket,
    EventSource,
    fetch,
  };
  const before = Object.keys(globals).map(
    (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
  );
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }

  return {
    open({ line, html, changed, transport }, isPlain = false) {
      const host = `${line.name}.test`;
      lines.set(host, line);
      const own: Window = { events: new EventTarget(), isHidden: false };
      const page = new DOMParser().parseFromString(html, "text/html");
      const list = page.querySelector("#live-posts") as unknown as HTMLElement;
      // By itself: what is in no page has no place on a screen that would have to be kept.
      list.remove();
      const Publisher = isPlain ? GenericWebsocketPublisher : FallbackPublisher;
      const publisher = new Publisher(`http://${host}`, {
        target: list,
        pageUrl: `http://${host}/live/news/`,
        hiddenAfter: HIDDEN_AFTER_MS,
        onUpdate: changed,
      });
      const act = (what: () => void) => {
        const other = active;
        active = own;
        what();
        active = other;
      };
      const look = (isHidden: boolean) =>
        act(() => {
          if (own.isHidden === isHidden) return;
          own.isHidden = isHidden;
          own.events.dispatchEvent(new Event("visibilitychange"));
        });
      /** It is the client's to choose: what is better is held up. */
      const block = (wanted: typeof transport) => {
        line.blocked.clear();
        if (wanted !== "websocket" && !isPlain) line.blocked.add("ws");
        if (wanted === "polling") line.blocked.add("sse");
        line.cut();
      };
      block(transport);
      act(() => publisher.start());
      return {
        get posts() {
          return postsIn(list);
        },
        get cursor() {
          return list.dataset.cursor ?? "";
        },
        hide: () => look(true),
        show: () => look(false),
        use: block,
        close: () => publisher.close(),
      };
    },

    uninstall() {
      for (const [name, descriptor] of before) {
        if (descriptor) Object.defineProperty(globalThis, name, descriptor);
        else Reflect.deleteProperty(globalThis, name);
      }
    },
  };
}

/** By element: a changed post is a new one, and large ones are looked at often. */
const marks = new WeakMap<Element, string>();

function postsIn(list: HTMLElement): Seen[] {
  const posts: Seen[] = [];
  for (let each = list.firstElementChild; each; each = each.nextElementSibling) {
    const wrapper = each as HTMLElement;
    const post = wrapper.querySelector<HTMLElement>("[data-post-id]")!;
    const mark = marks.get(post) ?? markOf(post.textContent ?? "");
    marks.set(post, mark);
    const { hidden } = wrapper;
    posts.push({
      id: post.dataset.postId!,
      at: Number(wrapper.dataset.at),
      show: !hidden,
      mark: hidden ? "" : mark,
    });
  }
  return posts;
}
