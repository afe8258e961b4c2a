/** The client for hosted services as a classic script, for a page that has no build: `assets/hosted.js`. */
import { PieSocketWebsocketPublisher, PusherWebsocketPublisher } from "./hosted.ts";

Object.assign(globalThis, { PieSocketWebsocketPublisher, PusherWebsocketPublisher });
