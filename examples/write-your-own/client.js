/* global WebsocketPublisher, eio */
class EngineIoPublisher extends WebsocketPublisher {
  initializeWebsocketConnection({ opened }) {
    const query = { channel: this.channelId, cursor: this.cursor ?? "" };
    this.websocket = eio(this.baseURL, { query });
    this.websocket.on("open", opened);
  }
  initializeOnMessageEvent({ receive }) {
    this.websocket.on("message", receive);
  }
  initializeOnErrorEvent({ lost }) {
    this.websocket.on("close", lost);
  }
}

new EngineIoPublisher(location.origin).start();
