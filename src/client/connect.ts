import { type FallbackOptions, FallbackPublisher } from "./fallback.ts";
import type { PublisherOptions, WebsocketPublisher } from "./publisher.ts";

export interface ConnectOptions extends FallbackOptions {
  /** The server: `host:port` or a URL. Default: the page's own host. */
  readonly url?: string | undefined;
  /** Default {@link FallbackPublisher}. */
  readonly Publisher?: (new (baseURL: string, options?: PublisherOptions) => WebsocketPublisher) | undefined;
}

/**
 * Makes this page live. Throws when it has no list of posts (`#live-posts`) or no channel id, or when `pageUrl` is no URL.
 *
 * @example
 * const live = connect({ onUpdate: ({ added }) => console.log(`${added.length} new`) });
 * live.state; // "connecting"
 * live.close();
 */
export function connect(options: ConnectOptions = {}): WebsocketPublisher {
  const { url = location.host, Publisher = FallbackPublisher } = options;
  const publisher = new Publisher(url, options);
  publisher.start();
  return publisher;
}
