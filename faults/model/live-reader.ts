/**
 * A reader that knows no cursors, as Wagtail Live's own script: it gets what is published while it is connected, over a
 * WebSocket. It never catches up, so it is judged by what it has heard on one connection.
 */
import type { Frame } from "../frame.ts";
import type { OpenPage, ReaderParts } from "./reader.ts";
import { Broken, markOf, type Truth } from "./truth.ts";

/** How soon it comes back. */
const BACK_MS = 1_000;

export interface LiveReader extends OpenPage {
  /** Throws {@link Broken} when a post of which it has heard was another where the connection is. */
  judge(): void;
}

export function liveReader(
  { line, network, channel }: Pick<ReaderParts, "line" | "network" | "channel">,
  truth: Truth,
): LiveReader {
  /** As of the last frame, all that this connection has brought. */
  const heard = new Map<string, string>();
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
    heard.clear();
    at = "";
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
    if (reset) heard.clear();
    for (const [id, { show, content }] of Object.entries(renders)) {
      heard.set(id, show ? markOf(content) : "hidden");
    }
    for (const id of removals) heard.set(id, "");
    at = cursor || at;
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
    judge() {
      const page = truth.at(at);
      if (page === undefined) return;
      const posts = new Map(
        page
          .split(" | ")
          .map((each) => [each.slice(0, each.lastIndexOf(" ")), each.slice(each.lastIndexOf(" ") + 1)]),
      );
      for (const [id, state] of heard) {
        const expected = posts.get(id) ?? "";
        if (state !== expected) {
          throw new Broken(`${line.name} shows ${id} [${state}] as of ${at}, where it was [${expected}]`);
        }
      }
    },
  };
}
