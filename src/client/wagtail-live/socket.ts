import type { ConnectionEvents } from "../publisher.ts";

/**
 * What a site's scripts take for a `WebSocket`, over whichever transport reaches the server: `onopen`, `onmessage`,
 * `onclose` and their events, `readyState`, `close()`. Made before it connects: `events` are for the transport.
 */
export class LiveSocket extends EventTarget {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent<unknown>) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: Event) => void) | null = null;
  readyState: number = WebSocket.CONNECTING;
  readonly events: ConnectionEvents = {
    opened: () => this.#to(WebSocket.OPEN, new Event("open")),
    receive: (data) => {
      this.events.opened();
      this.#emit(new MessageEvent("message", { data }));
    },
    lost: () => this.#to(WebSocket.CLOSED, new CloseEvent("close")),
  };

  /** Servers of live pages need no messages from readers. */
  send(): void {}

  close(): void {
    this.events.lost();
  }

  #to(state: number, event: Event): void {
    if (this.readyState >= state) return;
    this.readyState = state;
    this.#emit(event);
  }

  #emit(event: Event): void {
    // As in a WebSocket, a handler that throws is reported, and keeps no other from being called.
    const handler = this[`on${event.type}` as "onopen"];
    const listener = (): void => handler?.call(this, event);
    this.addEventListener(event.type, listener, { once: true });
    this.dispatchEvent(event);
  }
}
