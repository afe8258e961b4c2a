/** Socket.IO, WebSocket transport only, a room for each channel. */
import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen } from "./http.ts";

const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });
io.on("connection", (socket) => void socket.join(String(socket.handshake.query.channel)));
listen((channel, body) => void io.to(channel).emit("update", JSON.parse(body.toString())), server);
