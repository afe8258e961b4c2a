import { type ClientOptions, WebSocket } from "ws";

/** How a server answers a WebSocket handshake: 101, and then the socket is closed, or the status of its refusal. */
export function statusOf(url: string, options: ClientOptions = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options);
    socket.on("open", () => {
      socket.terminate();
      resolve(101);
    });
    socket.on("unexpected-response", (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    socket.on("error", reject);
  });
}
