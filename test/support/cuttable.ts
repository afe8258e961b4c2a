import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy before a server: the network, which the test can cut. */
export interface Cuttable {
  readonly url: string;
  /** Ends all connections, and refuses new ones until `mend`. */
  cut(): void;
  mend(): void;
  /** Connections that there are stay open and carry nothing more, as when a firewall forgot them; new ones work. */
  forget(): void;
  close(): Promise<void>;
}

/**
 * @param cached what a cache on the way answers itself, by path: whole responses
 */
export async function cuttable(
  target: string,
  cached: Readonly<Record<string, string>> = {},
): Promise<Cuttable> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.once("data", (first: Buffer) => {
      const [, path = ""] = first.toString("latin1").split(" ", 2);
      if (cached[path] !== undefined) {
        near.end(cached[path]);
        return;
      }
      far.write(first);
      near.pipe(far).pipe(near);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    mend() {
      isCut = false;
    },
    forget() {
      for (const socket of sockets) socket.unpipe().resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
