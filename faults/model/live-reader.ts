/**
 * A reader that knows no cursors, as Wagtail Live's own script: it gets what is published while it is connected, over a
 * WebSocket. It never catches up, so it is judged by one connection: from the first cursor that this has brought, where
 * its page is taken to be what it should be, every change must come.
 */
import type { Frame } from "../frame.ts";
import type { OpenPage, ReaderParts } from "./reader.ts";
import { Broken, markOf, type Truth } from "./truth.ts";

/** How soon it comes back. */
const BACK_MS = 1_000;

export interface LiveReader extends OpenPage {
  /** What the connection has brought of a post: its mark, `hidden`, or nothing when it was removed. */
  heard(id: string): string | undefined;
  /** Throws {@link Broken} when its page is not what it was where the connection is. */
  judge(): void;
}

export function liveReader(
  { line, network, channel }: Pick<ReaderParts, "line" | "network" | "channel">,
  truth: Truth,
): LiveReader {
  /** As of the last frame, all that this connection has brought. */
  const heard = new Map<string, string>();
  /** The page where the connection was first known to be. */
  let base: ReadonlyMap<string, string> | undefined;
  let at = "";
  let isOpen = true;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let held: object | undefined;
  let opened: { close(): void } | undefined;

  function leave(): void {
    clearTimeout(timer);
    held = undefined;
    opened?.close();
    opened = undefined;
    forget();
    at = "";
  }

  function forget(): void {
    heard.clear();
    base = undefined;
  }

  function connect(): void {
    leave();
    const own = {};
    held = own;
    opened = network.socket(line, `/ws/channel/${channel}/`, {
      opened() {},
      received: (text) => held === own && take(JSON.parse(text)),
      lost() {
        if (held !== own) return;
        leave();
        if (isOpen) timer = setTimeout(connect, BACK_MS);
      },
    });
  }

  function take({ renders, removals, cursor = "", reset }: Frame): void {
    // What came before it is of a history that is over.
    if (reset) forget();
    for (const [id, { show, content }] of Object.entries(renders)) {
      heard.set(id, show ? markOf(content) : "hidden");
    }
    for (const id of removals) heard.set(id, "");
    at = cursor || at;
    base ??= pageAt(at);
  }

  function pageAt(cursor: string): ReadonlyMap<string, string> | undefined {
    const page = truth.at(cursor);
    if (page === undefined) return undefined;
    const posts = page === "" ? [] : page.split(" | ");
    return new Map(
      posts.map((each) => [each.slice(0, each.lastIndexOf(" ")), each.slice(each.lastIndexOf(" ") + 1)]),
    );
  }

  connect();
  return {
    posts: [],
    get cursor() {
      return at;
    },
    hide: leave,
    show: connect,
    use() {},
    close() {
      isOpen = false;
      leave();
    },
    heard: (id) => heard.get(id),
    judge() {
      const page = pageAt(at);
      if (!base || !page) return;
      for (const id of new Set([...base.keys(), ...heard.keys(), ...page.keys()])) {
        const state = heard.get(id) ?? base.get(id) ?? "";
        const expected = page.get(id) ?? "";
        if (state !== expected) {
          throw new Broken(`${line.name} shows ${id} [${state}] as of ${at}, where it was [${expected}]`);
        }
      }
    },
  };
}
