/** How many files, sockets among them, this process may have open (`ulimit -n`). */
import { readFileSync } from "node:fs";
import type { Server } from "node:net";
import type { Logger } from "pino";

/** Kept for the store, the bus and what is read from disk. */
const KEPT_FILES = 100;
const TOLD_MS = 60_000;

/**
 * Lets in no more connections than there are files for, and says so once a minute: at the limit itself the system ends
 * newcomers without a word to anybody, and the store may find no file to open.
 */
export function boundConnections(server: Server, logger: Logger): void {
  const limit = openFilesLimit();
  if (limit === undefined) return;
  const connections = limit - Math.min(KEPT_FILES, Math.floor(limit / 2));
  server.maxConnections = connections;
  let dropped = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  server.on("drop", () => {
    dropped++;
    const now = performance.now();
    if (now - toldAt < TOLD_MS) return;
    toldAt = now;
    logger.error(
      { limit, connections, dropped },
      "refuses connections: the limit of open files (ulimit -n) allows no more",
    );
  });
}

/** What comes in at `door` counts for the server, too, to one bound: that of {@link boundConnections}. */
export function shareBound(server: Server, door: Server): void {
  const { maxConnections: bound } = server;
  if (bound === undefined) return;
  // Node takes a bound of 0 for none.
  const leave = (to: Server, from: Server) =>
    from.getConnections((_error, taken) => {
      to.maxConnections = Math.max(1, bound - taken);
    });
  const share = () => {
    leave(server, door);
    leave(door, server);
  };
  share();
  for (const one of [server, door]) {
    one.on("connection", (socket) => {
      share();
      socket.on("close", share);
    });
  }
  door.on("drop", (dropped) => server.emit("drop", dropped));
}

/** `undefined` where the system does not say, or sets none. Node has raised it as far as it may. */
function openFilesLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
