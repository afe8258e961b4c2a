/** The public names, in the order of the way. */

export type { Bus, BusStatus, Listener, Unsubscribe } from "./buses/bus.ts";
export { type MemoryBusOptions, memoryBus } from "./buses/memory.ts";
export { type ErrorCode, TidingsError, type TidingsErrorOptions } from "./errors.ts";
export type {
  Admission,
  Admitted,
  Connection,
  Reader,
  Refusal,
  Transport,
} from "./hub/connection.ts";
export {
  type CloseOptions,
  createHub,
  type Hub,
  type HubOptions,
  type HubStats,
  type RetryWindow,
} from "./hub/hub.ts";
export type { Origins } from "./hub/origins.ts";
export type { AppendOptions, Log, Since } from "./logs/log.ts";
export { memoryLog } from "./logs/memory.ts";
export type { Block, Image, Page, Post } from "./pages/model.ts";
export type { Change, PageStore, PageView } from "./pages/store.ts";
export {
  type Announcement,
  type Cursor,
  type CursorParts,
  type Draft,
  type DraftRender,
  decodeUpdate,
  draftUpdate,
  type Entry,
  encodeUpdate,
  type Frame,
  isId,
  parseCursor,
  type Render,
  type RendersInput,
  type Update,
} from "./protocol.ts";
export {
  createDelivery,
  type Delivery,
  type DeliveryOptions,
  type OwnPublisher,
} from "./publishers/delivery.ts";
export {
  BaseWebsocketPublisher,
  createPublisher,
  type Follower,
  type OnError,
  type Publisher,
  type PublisherOptions,
} from "./publishers/publisher.ts";
export { getRedisUrl, RedisBus, RedisPubSubPublisher } from "./publishers/redis.ts";
