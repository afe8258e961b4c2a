/** The browser client: makes an open page live (PROTOCOL.md, section 6). No dependencies, no I/O but the page's own. */
export { backoff } from "./backoff.ts";
export { type ConnectOptions, connect } from "./connect.ts";
export { type FallbackOptions, FallbackPublisher } from "./fallback.ts";
export { GenericWebsocketPublisher } from "./generic.ts";
export type { LiveUpdate } from "./posts.ts";
export {
  type ConnectionEvents,
  type LiveState,
  type PublisherOptions,
  type UrlFor,
  WebsocketPublisher,
} from "./publisher.ts";
export type { TransportName } from "./transports.ts";
