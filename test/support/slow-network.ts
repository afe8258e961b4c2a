import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy before a server: a network that brings a reader so much as the test lets it, and takes all at once. */
export interface SlowNetwork {
  /** `host:port`. */
  readonly host: string;
  /** Lets so many bytes more through; resolves when they are, or the connection has ended. */
  bring(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** For one connection at a time. */
export async function slowNetwork(target: string): Promise<SlowNetwork> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let allowed = 0;
  let brought = () => {};
  let far: Socket | undefined;
  const server = createServer((near) => {
    const to = connect(Number(port), hostname);
    far = to;
    for (const socket of [near, to]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        to.destroy();
        brought();
      });
    }
    near.pipe(to);
    to.on("data", (bytes: Buffer) => {
      near.write(bytes);
      allowed -= bytes.length;
      if (allowed > 0) return;
      to.pause();
      brought();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    bring(bytes) {
      return new Promise((resolve) => {
        brought = resolve;
        allowed += bytes;
        if (allowed <= 0 || far?.destroyed) resolve();
        else far?.resume();
      });
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
