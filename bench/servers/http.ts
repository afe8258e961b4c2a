/**
 * What the servers on `node:http` have in common: `POST /publish/<channel>` on the port that `PORT` names, and
 * `GET /memory`: how many bytes of JavaScript's live, buffers among them.
 */
import { createServer, type Server } from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** `/ws/channel/live/?cursor=` and `/publish/live` are of the channel `live`. */
export function channelOf(url: string): string {
  return decodeURIComponent(/^\/(?:ws\/channel|publish)\/([^/?]+)/.exec(url)?.[1] ?? "");
}

/** A backlog that a thousand readers at once do not overflow, on Node; Bun has its own, that cannot be set. */
export const LISTEN: { readonly port: number; readonly host: string; readonly backlog: number } = {
  port: Number(process.env.PORT),
  host: "127.0.0.1",
  backlog: 4096,
};

export function listen(
  publish: (channel: string, body: Buffer) => unknown,
  server: Server = createServer(),
): Server {
  server.on("request", async (request, response) => {
    if (request.url === "/memory") response.end(String(await memory()));
    if (request.method !== "POST" || !request.url!.startsWith("/publish/")) return;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      await publish(channelOf(request.url!), chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.keepAliveTimeout = 600_000;
  return server.listen(LISTEN);
}

async function memory(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    // What was dropped with them, and is freed in a turn of its own.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
