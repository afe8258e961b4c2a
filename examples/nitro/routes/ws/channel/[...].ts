import { defineWebSocketHandler } from "h3";
import { crosswsWebSocket } from "tidings/adapters/crossws";
import { hub } from "../../../utils/news.ts";

export default defineWebSocketHandler(crosswsWebSocket(hub));
