import { type ConnectionEvents, WebsocketPublisher } from "./publisher.ts";

/**
 * Follows a live page through the browser's own `WebSocket`.
 *
 * @example
 * new GenericWebsocketPublisher(`${serverHost}:${serverPort}`).start();
 */
export class GenericWebsocketPublisher extends WebsocketPublisher {
  declare protected websocket: WebSocket;

  override initializeWebsocketConnection({ opened }: ConnectionEvents): void {
    this.websocket = new WebSocket(this.url);
    this.websocket.onopen = opened;
  }

  override initializeOnMessageEvent({ receive }: ConnectionEvents): void {
    this.websocket.onmessage = ({ data }) => receive(data);
  }

  override initializeOnErrorEvent({ lost }: ConnectionEvents): void {
    this.websocket.onclose = lost;
  }
}
