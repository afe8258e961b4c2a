/** Where a server listens: on each address of its host, and on all of them as one server. */
import dns from "node:dns";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { TidingsError } from "../errors.ts";
import { shareBound } from "./open-files.ts";
import type { Settings } from "./settings.ts";

/**
 * Connections that may wait to be accepted: as many as the system lets (Linux: `net.core.somaxconn`). Node's own 511 are soon
 * taken when all readers come back at once, and who is not among them is only heard again after 1, 3, 7, 15 … seconds.
 */
const BACKLOG = 65_535;

export interface Listening {
  readonly port: number;
  /** Stops listening where `app.close()` does not; resolves when the connections that came there have ended. */
  close(): Promise<void>;
}

/**
 * `localhost` is 127.0.0.1 and ::1. Fastify would make a server of its own for the second, whose connections nobody counts,
 * tells of a drain or ends.
 *
 * Rejects with `settings` when it cannot listen on the first address; another that cannot be had is done without.
 */
export async function listen(
  app: FastifyInstance,
  { host, port }: Pick<Settings, "host" | "port">,
): Promise<Listening> {
  const [first = host, ...others] = host === "localhost" ? await addressesOf(host) : [host];
  try {
    await app.listen({ host: first, port, backlog: BACKLOG });
  } catch (cause) {
    throw cannotListen(cause as NodeJS.ErrnoException, host, port);
  }
  const taken = (app.server.address() as AddressInfo).port;
  const doors = await Promise.all(others.map((other) => openDoor(app, other, taken)));
  return {
    port: taken,
    async close() {
      await Promise.all(doors.map((door) => door && new Promise((resolve) => door.close(resolve))));
    },
  };
}

async function addressesOf(host: string): Promise<readonly string[]> {
  // What is wrong with the name, listening tells.
  const found = await dns.promises.lookup(host, { all: true }).catch(() => []);
  return [...new Set(found.map(({ address }) => address))];
}

/** What comes in there is the server's as if it had come to itself. */
async function openDoor(app: FastifyInstance, host: string, port: number): Promise<Server | undefined> {
  // As `http.createServer` has it.
  const door = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    app.server.emit("connection", socket);
  });
  shareBound(app.server, door);
  door.listen({ host, port, backlog: BACKLOG });
  try {
    await once(door, "listening");
  } catch {
    return undefined;
  }
  app.log.info(`Server listening at http://${host.includes(":") ? `[${host}]` : host}:${port}`);
  return door;
}

function cannotListen(cause: NodeJS.ErrnoException, host: string, port: number): TidingsError {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is taken on ${host}: end what listens there, or choose another with --port`,
    EACCES: `port ${port} may not be listened on by this user: choose one above 1023 with --port`,
    EADDRNOTAVAIL: `${host} is no address of this machine: choose another with --host`,
    ENOTFOUND: `${host} is not known: choose another with --host`,
  };
  return new TidingsError("settings", why[cause.code ?? ""] ?? `cannot listen: ${cause.message}`, { cause });
}
