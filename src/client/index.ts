/** The browser client: makes an open page live (PROTOCOL.md, section 6). No dependencies, no I/O but the page's own. */
export { backoff } from "./backoff.ts";
export { type ConnectOptions, connect } from "./connect.ts";
export { GenericWebsocketPublisher } from "./generic.ts";
export type { LiveUpdate } from "./posts.ts";
export {
  type ConnectionEvents,
  type LiveState,
  type PublisherOptions,
  WebsocketPublisher,
} from "./publisher.ts";
