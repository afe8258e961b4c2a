/** @fastify/websocket: a set of sockets for each channel. */
import websocket from "@fastify/websocket";
import { fastify } from "fastify";
import type { WebSocket } from "ws";
import { LISTEN } from "./http.ts";

const channels = new Map<string, Set<WebSocket>>();
const app = fastify({ keepAliveTimeout: 600_000 });
await app.register(websocket, { options: { perMessageDeflate: false } });
app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
  done(null, body),
);

app.get<{ Params: { id: string } }>("/ws/channel/:id/", { websocket: true }, (socket, request) => {
  const sockets = channels.get(request.params.id) ?? new Set();
  channels.set(request.params.id, sockets.add(socket));
  socket.on("close", () => sockets.delete(socket));
});
app.post<{ Params: { id: string }; Body: Buffer }>("/publish/:id", (request, reply) => {
  for (const socket of channels.get(request.params.id) ?? []) {
    if (socket.readyState === socket.OPEN) socket.send(request.body, { binary: false });
  }
  reply.code(204).send();
});
await app.listen(LISTEN);
