import { Follower, type Owner } from "./follower.ts";
import { LiveSocket } from "./socket.ts";

declare const process_updates: (data: unknown) => void;

/** The one that the page follows: a page has one, however many publishers a site's scripts make. */
let current: { readonly follower: Follower; readonly kind: unknown } | undefined;

export function following(): Follower | undefined {
  return current?.follower;
}

/**
 * Wagtail Live's `WebsocketPublisher`: its subclasses open a connection, and call `process_updates` with what comes. What
 * they need not do is done here: a connection that ends is opened anew, after which nothing is missing.
 *
 * @example
 * class MyPublisher extends WebsocketPublisher {
 *   initialize_websocket_connection() {
 *     this.websocket = new LibrarySocket(this.baseURL, channelID);
 *   }
 *   initialize_on_message_event() {
 *     this.websocket.on("message", (text) => process_updates(JSON.parse(text)));
 *   }
 *   initialize_on_error_event() {}
 * }
 * new MyPublisher(baseURL).start();
 */
export class WebsocketPublisher implements Owner {
  readonly baseURL: string;
  declare websocket: unknown;
  readonly #follower: Follower;

  constructor(baseURL: string) {
    this.baseURL = baseURL;
    const connect = this.initialize_websocket_connection;
    const follower = new Follower(
      this,
      () => connect.call(this),
      () => {
        if (following() === follower) current = undefined;
      },
    );
    this.#follower = follower;
    // A script that reconnects by itself calls this when a connection has ended: there will be one without it.
    this.initialize_websocket_connection = () => {
      if (following() !== follower) connect.call(this);
    };
    connect.call(this);
  }

  /** Follows the page, until the site's script closes `this.websocket`. */
  start(): void {
    const follower = this.#follower;
    if (following() === follower) return;
    if (current?.kind === this.constructor) {
      // The same, made anew for each connection: the first one does what all of them are for.
      (this.websocket as { close?(): void } | undefined)?.close?.();
      return;
    }
    following()?.close();
    current = { follower, kind: this.constructor };
    follower.start();
  }

  initialize_websocket_connection(): void {}

  initialize_on_message_event(): void {}

  initialize_on_error_event(): void {}

  /** Where the page is in its history, for a URL's `?cursor=`; empty when that is not known. */
  get cursor(): string {
    return document.getElementById("live-posts")?.dataset.cursor ?? "";
  }
}

/** Wagtail Live's `GenericWebsocketPublisher`: over a WebSocket, and where that is blocked over what is not. */
export class GenericWebsocketPublisher extends WebsocketPublisher {
  declare websocket: WebSocket;

  override initialize_websocket_connection(): void {
    this.websocket = new LiveSocket() as unknown as WebSocket;
  }

  override initialize_on_message_event(): void {
    // By its global name: a site may have put its own in its place.
    this.websocket.onmessage = ({ data }) => process_updates(JSON.parse(data));
  }
}
