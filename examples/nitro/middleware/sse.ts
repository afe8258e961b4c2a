import { fromNodeMiddleware } from "h3";
import { nodeSse } from "tidings/adapters/sse";
import { hub } from "../utils/news.ts";

export default fromNodeMiddleware(nodeSse(hub));
