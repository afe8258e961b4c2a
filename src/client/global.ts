/** The client as a classic script, for a page that has no build: defines its names, and connects to nothing. */
import { connect, GenericWebsocketPublisher, WebsocketPublisher } from "./index.ts";

Object.assign(globalThis, { WebsocketPublisher, GenericWebsocketPublisher, tidings: { connect } });
