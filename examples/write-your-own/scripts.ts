import { createReadStream } from "node:fs";
import type { ServerResponse } from "node:http";

const scripts = new Map([
  ["/tidings.js", import.meta.resolve("tidings/assets/tidings.js")],
  ["/engine.io.js", import.meta.resolve("engine.io-client/dist/engine.io.min.js")],
  ["/client.js", import.meta.resolve("./client.js")],
]);

/** Sends the script that is asked for, if it is one of the page's. */
export function sendScript(path: string | undefined, response: ServerResponse): boolean {
  const file = scripts.get(path ?? "");
  if (file === undefined) return false;
  response.setHeader("Content-Type", "text/javascript; charset=utf-8");
  createReadStream(new URL(file)).pipe(response);
  return true;
}
