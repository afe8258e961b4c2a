import type { Announcement, Bus } from "../buses/bus.ts";
import type { AppendOptions, Log } from "../logs/log.ts";
import { type Cursor, checkId, draftUpdate, type RendersInput } from "../protocol.ts";

/** What a publisher may be told beside the update. */
export interface PublishOptions extends AppendOptions {
  /** The update's place in the page's history, when a log has numbered it already. */
  readonly cursor?: Cursor | undefined;
}

/**
 * The guide's base class: whoever implements `publish` can deliver a page's updates, over whatever they like.
 * It is called after the change is safe in the log.
 *
 * @example
 * class MyWebsocketPublisher extends BaseWebsocketPublisher {
 *   async publish(channelId, renders, removals) {
 *     await myService.send(channelId, JSON.stringify({ renders, removals }));
 *   }
 * }
 */
export abstract class BaseWebsocketPublisher {
  /**
   * Delivers one update to the readers of a page.
   *
   * @param channelId names the page
   * @param renders posts that are new or changed, by id: `{ show, content, at }`; `content` is HTML
   * @param removals ids of posts that are gone
   */
  abstract publish(
    channelId: string,
    renders: RendersInput,
    removals?: readonly string[],
    options?: PublishOptions,
  ): Promise<unknown> | unknown;
}

/** Takes changes to pages: numbers them in the log, announces them on the bus. */
export interface Publisher extends BaseWebsocketPublisher {
  /**
   * Publishes one update; resolves with its cursor once the log has it. Throws `invalid` naming the culprit;
   * what a failing bus does is the hub's to mend, never the caller's.
   *
   * @example
   * await publisher.publish("finals", { "7": { show: true, content: "<p>Goal!</p>" } });
   */
  publish(
    channelId: string,
    renders: RendersInput,
    removals?: readonly string[],
    options?: PublishOptions,
  ): Promise<{ readonly cursor: Cursor }>;
}

/**
 * The publisher over a log and a bus.
 *
 * @example
 * const publisher = createPublisher({ log: memoryLog(), bus: memoryBus() });
 */
export function createPublisher({
  log,
  bus,
}: {
  readonly log: Pick<Log, "append">;
  readonly bus: Bus;
}): Publisher {
  return {
    async publish(channelId, renders, removals = [], options: AppendOptions = {}) {
      checkId(channelId, "channelId");
      const announcement: Announcement = await log.append(channelId, draftUpdate(renders, removals), options);
      await bus.publish(channelId, announcement);
      return { cursor: announcement.cursor };
    },
  };
}
