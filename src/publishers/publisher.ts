import type { Bus } from "../buses/bus.ts";
import type { AppendOptions, Log } from "../logs/log.ts";
import {
  type Announcement,
  type Cursor,
  checkId,
  draftUpdate,
  type Render,
  type RendersInput,
} from "../protocol.ts";

/**
 * The guide's base class: whoever implements `publish` can deliver a page's updates, over whatever they like.
 * It is called after the change is safe in the log.
 *
 * @example
 * class MyWebsocketPublisher extends BaseWebsocketPublisher {
 *   async publish(channelId, renders, removals, { cursor }) {
 *     await myService.send(channelId, JSON.stringify({ renders, removals, cursor }));
 *   }
 * }
 */
export abstract class BaseWebsocketPublisher {
  /**
   * Delivers one update to the readers of a page.
   *
   * @param channelId names the page
   * @param renders posts that are new or changed, by id: `{ show, content, at }`. `content` is the whole post as
   *   HTML (an empty shell when it is hidden); order posts by `at`, for objects reorder ids that look like integers
   * @param removals ids of posts that are gone
   * @param context `cursor`: the update's place in the page's history, `<epoch>.<seq>`
   */
  abstract publish(
    channelId: string,
    renders: Readonly<Record<string, Render>>,
    removals: readonly string[],
    context: { readonly cursor: Cursor },
  ): Promise<unknown> | unknown;
}

/** Takes updates that somebody rendered: numbers them in the log, announces them on the bus. */
export interface Publisher {
  /**
   * Publishes one update; resolves with its cursor once the log has it. Throws `invalid` naming the culprit. Nobody
   * waits for the bus: what it loses the hubs find in the log.
   *
   * @param renders by post id, or, to keep any order of ids, a list of `{ id, show, content }`
   * @example
   * await publisher.publish("finals", { "7": { show: true, content: "<p>Goal!</p>" } });
   */
  publish(
    channelId: string,
    renders: RendersInput,
    removals?: readonly string[],
    options?: AppendOptions,
  ): Promise<{ readonly cursor: Cursor }>;
}

/** Who is handed the update of each change, besides the bus: see `createDelivery`. */
export interface Follower {
  /**
   * Takes over the update of a change that has just begun, once it is made. Never throws, and nobody waits for it. What
   * changed nothing, failed, or was a repetition (a cursor alone) is passed over.
   */
  follow(channelId: string, change: Promise<Announcement>): void;
}

export interface PublisherOptions {
  readonly log: Pick<Log, "append" | "announcesOn">;
  readonly bus: Bus;
  /** Hands each update to a publisher of your own, too, once the log has it. */
  readonly delivery?: Follower | undefined;
  /** Told when the bus throws, against its contract. Default: `console.error`. */
  readonly onError?: OnError;
}

export type OnError = (error: unknown, context: { stage: string; channel?: string }) => void;

/**
 * The publisher over a log and a bus.
 *
 * @example
 * const publisher = createPublisher({ log: memoryLog(), bus: memoryBus() });
 */
export function createPublisher({ log, bus, delivery, onError }: PublisherOptions): Publisher {
  return {
    async publish(channelId, renders, removals = [], options = {}) {
      checkId(channelId, "channelId");
      const appended = log.append(channelId, draftUpdate(renders, removals), options);
      delivery?.follow(channelId, appended);
      const announcement = await appended;
      // What is answered by its cursor alone the log did not announce just now.
      const isAnnounced = log.announcesOn === bus && "renders" in announcement;
      if (!isAnnounced) announce(bus, channelId, announcement, onError);
      return { cursor: announcement.cursor };
    },
  };
}

/** Tells the bus, and waits for nothing: the change is made, whatever becomes of its announcement. */
export function announce(
  bus: Bus,
  channelId: string,
  announcement: Announcement,
  onError: OnError = (error, context) => console.error(error, context),
): void {
  (async () => bus.publish(channelId, announcement))().catch((error: unknown) =>
    onError(error, { stage: "announce", channel: channelId }),
  );
}
