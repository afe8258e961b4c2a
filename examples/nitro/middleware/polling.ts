import { fromNodeMiddleware } from "h3";
import { nodePolling } from "tidings/adapters/polling";
import { hub } from "../utils/news.ts";

export default fromNodeMiddleware(nodePolling(hub));
