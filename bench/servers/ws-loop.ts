/**
 * The loop that everybody writes: a set of sockets for each channel, and a `send` to each, of bytes as `ws` shows it. With
 * `TEXT=1` of a string, as many write it, which `ws` encodes anew for each.
 */
import type { WebSocket } from "ws";
import { WebSocketServer } from "ws";
import { channelOf, listen } from "./http.ts";

const isText = process.env.TEXT === "1";
const channels = new Map<string, Set<WebSocket>>();

const server = listen((channel, body) => {
  const data = isText ? body.toString() : body;
  for (const socket of channels.get(channel) ?? []) {
    if (socket.readyState === socket.OPEN) socket.send(data, { binary: false });
  }
});

new WebSocketServer({ server, perMessageDeflate: process.env.DEFLATE === "1" }).on(
  "connection",
  (socket, request) => {
    const channel = channelOf(request.url!);
    const sockets = channels.get(channel) ?? new Set();
    channels.set(channel, sockets.add(socket));
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  },
);
