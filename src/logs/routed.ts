import type { Log } from "./log.ts";

/** A log that keeps some channels, and can tell which. */
export interface PageLog extends Log {
  hasPages(channels: readonly string[]): Promise<boolean[]>;
}

/**
 * One log of two: channels that are stored pages are answered by `pages`, all others by `others`.
 * `close()` closes both.
 *
 * @example
 * const log = routedLog({ pages: store, others: memoryLog() });
 */
export function routedLog({ pages, others }: { readonly pages: PageLog; readonly others: Log }): Log {
  const logOf = async (channel: string) => ((await pages.hasPages([channel]))[0] ? pages : others);
  return {
    append: async (channel, update, options) => (await logOf(channel)).append(channel, update, options),
    since: async (channel, cursor) => (await logOf(channel)).since(channel, cursor),

    async heads(channels) {
      const stored = await pages.hasPages(channels);
      const [ofPages, ofOthers] = await Promise.all([
        pages.heads(channels.filter((_, i) => stored[i])),
        others.heads(channels.filter((_, i) => !stored[i])),
      ]);
      const answers = { true: ofPages.values(), false: ofOthers.values() };
      return stored.map((isStored) => answers[`${isStored}`].next().value!);
    },

    async close() {
      await Promise.all([pages.close(), others.close()]);
    },
  };
}
