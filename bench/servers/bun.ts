/** Bun bare: its own publish, in a few lines. */
import { channelOf } from "./http.ts";
import { type BunServer, type BunSocket, serveOnBun } from "./runtime.ts";

serveOnBun({
  async fetch(request: Request, server: BunServer) {
    const channel = channelOf(new URL(request.url).pathname);
    if (request.method === "POST") {
      server.publish(channel, await request.text());
      return new Response(null, { status: 204 });
    }
    if (server.upgrade(request, { data: channel })) return undefined;
    return new Response("not a handshake", { status: 400 });
  },
  websocket: {
    open: (socket: BunSocket) => socket.subscribe(String(socket.data)),
    message() {},
  },
});
