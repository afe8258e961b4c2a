/** The client as a classic script that takes the place of Wagtail Live's: defines its names, and connects to nothing. */
import {
  createLivePostWrapper,
  getPostByID,
  LivePostsTracker,
  processPost,
  processUpdates,
  removeLivePost,
} from "./posts.ts";
import { GenericWebsocketPublisher, WebsocketPublisher } from "./publisher.ts";

declare const scheme: string | undefined;
declare const useSecureWsConnection: boolean | undefined;

const NAMES = Symbol.for("tidings.wagtail-live");
const scope = globalThis as { [NAMES]?: object };

// It may stand for several of Wagtail Live's files: they share one state, and the names are ours again after each.
scope[NAMES] ??= {
  WebsocketPublisher,
  GenericWebsocketPublisher,
  LivePostsTracker,
  getPostByID,
  process: processPost,
  process_updates: processUpdates,
  removeLivePost,
  createLivePostWrapper,
};
Object.assign(globalThis, scope[NAMES]);

if (typeof scheme === "undefined") {
  const isSecure =
    location.protocol === "https:" || (typeof useSecureWsConnection !== "undefined" && useSecureWsConnection);
  Object.assign(globalThis, { scheme: isSecure ? "wss" : "ws" });
}
