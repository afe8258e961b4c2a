/** What Node's documented API allows without any promise: each update framed once, joined with others of its turn, written to the raw socket. */
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { textFrame } from "../../src/adapters/ws-frames.ts";
import { channelOf, listen } from "./http.ts";

interface Channel {
  readonly sockets: Set<Duplex>;
  due: Buffer[];
}

const channels = new Map<string, Channel>();

function flush(channel: Channel): void {
  const frames = channel.due.length === 1 ? channel.due[0]! : Buffer.concat(channel.due);
  channel.due = [];
  for (const socket of channel.sockets) socket.write(frames);
}

const server = listen((id, body) => {
  const channel = channels.get(id);
  if (channel && channel.due.push(textFrame(body.toString())) === 1) setImmediate(flush, channel);
});

const wss = new WebSocketServer({ noServer: true });
server.on("upgrade", (request, socket, head) => {
  wss.handleUpgrade(request, socket, head, (ws) => {
    const id = channelOf(request.url!);
    const channel = channels.get(id) ?? { sockets: new Set(), due: [] };
    channels.set(id, channel);
    channel.sockets.add(socket);
    ws.on("error", () => {});
    ws.on("close", () => channel.sockets.delete(socket));
  });
});
