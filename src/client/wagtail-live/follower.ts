import { FallbackPublisher } from "../fallback.ts";
import type { ConnectionEvents } from "../publisher.ts";
import { observe } from "./observe.ts";
import { LiveSocket } from "./socket.ts";

/** A publisher of Wagtail Live's kind: it opens connections, and says nothing of what becomes of them. */
export interface Owner {
  readonly baseURL: string;
  websocket: unknown;
  initialize_on_message_event(): void;
  initialize_on_error_event(): void;
}

declare const scheme: string | undefined;

/** Keeps the page up to date with the connections of its owner. */
export class Follower extends FallbackPublisher {
  readonly #owner: Owner;
  readonly #connect: () => void;
  readonly #ended: () => void;
  /** The last that was used. */
  #socket: unknown = Follower;
  #events: ConnectionEvents | undefined;

  /**
   * @param connect Has the owner open a connection. It is not called while `owner.websocket` is one not yet used.
   * @param ended Called when the page is no longer followed.
   */
  constructor(owner: Owner, connect: () => void, ended: () => void) {
    const isSecure = location.protocol === "https:" || (typeof scheme !== "undefined" && scheme === "wss");
    super(owner.baseURL, { secure: isSecure || undefined });
    this.#owner = owner;
    this.#connect = connect;
    this.#ended = ended;
  }

  /** Takes what the owner has made of a message. It is of the connection held; after that it is late, and dropped. */
  take(frame: object): void {
    this.#events?.receive(JSON.stringify(frame));
  }

  override close(): void {
    super.close();
    this.#ended();
  }

  /** A URL of the owner's own has no cursor, unless the owner has put it there. */
  protected override get sendsCursor(): boolean {
    const socket = this.#socket as { readonly url?: unknown } | undefined;
    return socket instanceof LiveSocket || /[?&]cursor=/.test(String(socket?.url));
  }

  override initializeWebsocketConnection(connection: ConnectionEvents): void {
    const owner = this.#owner;
    this.#events = connection;
    if (owner.websocket === this.#socket) {
      owner.websocket = undefined;
      this.#connect();
    }
    const { websocket } = owner;
    this.#socket = websocket;
    if (websocket instanceof LiveSocket) super.initializeWebsocketConnection(websocket.events);
  }

  override initializeOnMessageEvent(): void {
    this.#owner.initialize_on_message_event();
  }

  override initializeOnErrorEvent(connection?: ConnectionEvents): void {
    this.#owner.initialize_on_error_event();
    const { websocket } = this;
    const end = observe(this.#socket, connection!, () => this.close());
    this.websocket = {
      close() {
        websocket?.close();
        end();
      },
    };
  }
}
