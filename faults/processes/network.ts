/** The network between processes: TCP links that can be cut, frozen and forgotten. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to one port, or to any of several that takes the connection. */
export interface Link {
  readonly port: number;
  /** Ends all connections, and refuses new ones until `mend`. */
  cut(): void;
  /** Nothing goes through, and nothing is refused, until `mend`: it comes late then. */
  freeze(): void;
  /** Connections there are stay open and carry nothing more, ever, as when a firewall forgot them; new ones work. */
  forget(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function link(...ports: number[]): Promise<Link> {
  /** That carry something. */
  const pairs = new Set<readonly [Socket, Socket]>();
  const sockets = new Set<Socket>();
  let isCut = false;
  let isFrozen = false;
  let turn = 0;
  const server = createServer((near) => {
    near.on("error", () => {});
    keep(near);
    if (isCut) near.resetAndDestroy();
    else join(near, ports.length);
  });

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  }

  function join(near: Socket, choices: number): void {
    const far = connect(ports[turn++ % ports.length]!, "127.0.0.1");
    keep(far);
    let isJoined = false;
    far.on("connect", () => {
      isJoined = true;
      const pair = [near, far] as const;
      pairs.add(pair);
      near.pipe(far).pipe(near);
      if (isFrozen) for (const socket of pair) socket.pause();
      for (const [socket, other] of [pair, [far, near] as const]) {
        socket.once("close", () => {
          pairs.delete(pair);
          other.destroy();
        });
      }
    });
    far.on("error", () => {
      if (isJoined) return;
      if (choices > 1 && !isCut) join(near, choices - 1);
      else near.resetAndDestroy();
    });
  }

  function each(act: (socket: Socket) => void): void {
    for (const pair of [...pairs]) pair.forEach(act);
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      each((socket) => socket.resetAndDestroy());
    },
    freeze() {
      isFrozen = true;
      each((socket) => socket.pause());
    },
    forget() {
      for (const pair of [...pairs]) {
        pairs.delete(pair);
        for (const socket of pair) socket.unpipe().resume();
      }
    },
    mend() {
      isCut = false;
      if (isFrozen) each((socket) => socket.resume());
      isFrozen = false;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
