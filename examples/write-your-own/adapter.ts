import type { Socket } from "engine.io";
import type { Hub } from "tidings";

const transport = { encode: (text: string) => text }; // how a text travels: as it is

/** Lets a connection read the page that its query names, from the cursor that it names. */
export async function handle(hub: Hub, socket: Socket): Promise<void> {
  const { url = "", headers } = socket.request;
  const query = new URL(url, "http://localhost").searchParams;
  const [channel, cursor] = [query.get("channel") ?? "", query.get("cursor")];
  const { origin, host } = headers;
  const admitted = await hub.admit({
    channel,
    cursor,
    origin,
    host,
    address: socket.remoteAddress,
    transport,
  });
  if ("status" in admitted) return void socket.close();
  if (socket.readyState !== "open") return admitted.cancel(); // it left meanwhile

  let unsent = 0;
  const buffered = () => (socket.transport.writable ? 0 : unsent);
  const reader = admitted.open({
    send(text) {
      unsent = buffered() + text.length;
      socket.send(text);
    },
    close: () => socket.close(),
    get bufferedAmount() {
      return buffered();
    },
  });
  if (socket.readyState !== "open") return reader.closed(); // the hub is closing
  socket.on("message", (data: string | Buffer) => reader.message(Buffer.byteLength(data)));
  socket.on("close", () => reader.closed());
}
