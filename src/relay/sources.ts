/** Where a site's updates come from: the Redis channels of Wagtail Live's own publishers, and of Django Channels. */
import { decode, encode } from "@msgpack/msgpack";
import { groupOf } from "../buses/redis.ts";
import { TidingsError } from "../errors.ts";
import type { Draft } from "../protocol.ts";
import { MAX_MESSAGE_BYTES, readMessage, toDraft } from "./message.ts";

/** How updates of a page stand on Redis Pub/Sub. */
export interface Source {
  /** The Redis channel of a page. */
  channelOf(page: string): string;
  /** The update in a message; `null`: it holds none. Throws `invalid`. */
  read(data: Uint8Array): Draft | null;
  /** The message of an update. */
  write(update: WagtailUpdate): string | Buffer;
}

/** An update in Wagtail Live's own shape. */
export interface WagtailUpdate {
  readonly renders: Readonly<Record<string, { readonly show: boolean; readonly content: string }>>;
  readonly removals: readonly string[];
}

/** `WebsocketsPublisher` and `StarlettePublisher`: JSON on `group_<page>`. */
export const wagtailSource: Source = {
  channelOf: groupOf,
  read: readMessage,
  write: (update) => JSON.stringify(update),
};

/**
 * `DjangoChannelsPublisher` on `channels_redis.pubsub`: events of the group `liveblog_<page>`, in MessagePack.
 *
 * @param prefix of the channel layer; its default is `asgi`
 */
export function channelsSource(prefix: string): Source {
  return {
    channelOf: (page) => `${prefix}__group__liveblog_${page}`,
    read(data) {
      const where = "relay";
      if (data.byteLength > MAX_MESSAGE_BYTES) {
        throw new TidingsError("invalid", `a message of ${data.byteLength} bytes`, { where });
      }
      let event: unknown;
      try {
        event = decode(data);
      } catch (cause) {
        const detail =
          "a message that is no MessagePack (a layer with symmetric_encryption_keys cannot be read)";
        throw new TidingsError("invalid", detail, { where, cause });
      }
      const isUpdate = (event as { type?: unknown } | null)?.type === "update";
      return isUpdate ? toDraft(event) : null;
    },
    write: (update) => Buffer.from(encode({ type: "update", ...update })),
  };
}
