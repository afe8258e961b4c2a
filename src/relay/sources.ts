/** Where a site's updates come from: the Redis channels of Wagtail Live's own publishers, and of Django Channels. */
import { decode, encode } from "@msgpack/msgpack";
import { groupOf } from "../buses/redis.ts";
import { TidingsError } from "../errors.ts";
import type { Draft } from "../protocol.ts";
import { MAX_MESSAGE_BYTES, type ReadMessage, readMessage, readUpdate } from "./message.ts";

/** How updates of a page stand on Redis Pub/Sub. */
export interface Source {
  /** Before a page's name in that of its Redis channel. */
  readonly prefix: string;
  /** The update in a message, or what is good of it; `null`: it is for somebody else. Throws `invalid`. */
  read(data: Uint8Array): ReadMessage | null;
  /** The message of an update. */
  write(update: Draft): string | Buffer;
}

/** `WebsocketsPublisher` and `StarlettePublisher`: JSON on `group_<page>`. */
export const wagtailSource: Source = {
  prefix: groupOf(""),
  read: readMessage,
  // By hand, for objects would put ids that look like integers first.
  write({ renders, removals }) {
    const posts = [...renders].map(
      ([id, { show, content }]) => `${JSON.stringify(id)}: ${JSON.stringify({ show, content })}`,
    );
    return `{"renders": {${posts.join(", ")}}, "removals": ${JSON.stringify(removals)}}`;
  },
};

/**
 * `DjangoChannelsPublisher` on `channels_redis.pubsub`: events of the group `liveblog_<page>`, in MessagePack.
 *
 * @param prefix of the channel layer; its default is `asgi`
 */
export function channelsSource(prefix: string): Source {
  return {
    prefix: `${prefix}__group__liveblog_`,
    read(data) {
      const where = "relay";
      if (data.byteLength > MAX_MESSAGE_BYTES) {
        throw new TidingsError("invalid", `a message of ${data.byteLength} bytes`, { where });
      }
      let event: unknown;
      try {
        event = decode(data, { mapKeyConverter: (key) => MARK + String(key) });
      } catch (cause) {
        const detail =
          "a message that is no MessagePack (a layer with symmetric_encryption_keys cannot be read)";
        throw new TidingsError("invalid", detail, { where, cause });
      }
      const { type, renders, removals } = unmarked(event);
      if (type !== "update") return null;
      if (typeof renders !== "object" || renders === null) return readUpdate(renders, removals);
      const posts = entriesOf(renders).map(([id, render]) => [id, unmarked(render)] as const);
      return readUpdate(new Map(posts), removals);
    },
    write({ renders, removals }) {
      const posts = Object.fromEntries(
        [...renders].map(([id, { show, content }]) => [id, { show, content }]),
      );
      return Buffer.from(encode({ type: "update", renders: posts, removals }));
    },
  };
}

/** Before each key: with it, no key looks like an integer, and all keep their order. */
const MARK = "_";

function entriesOf(marked: unknown): [string, unknown][] {
  if (typeof marked !== "object" || marked === null || Array.isArray(marked)) return [];
  return Object.entries(marked).map(([key, value]) => [key.slice(MARK.length), value]);
}

const unmarked = (value: unknown): Readonly<Record<string, unknown>> => Object.fromEntries(entriesOf(value));
