import type { ConnectionEvents } from "../publisher.ts";

/** What sockets of libraries have in common, more or less. */
interface SocketLike {
  readonly readyState?: number | string;
  onopen?: ((event: unknown) => void) | null;
  onclose?: ((event: unknown) => void) | null;
  addEventListener?(type: string, listener: () => void): void;
  on?(type: string, listener: () => void): void;
  close?(...reason: unknown[]): void;
  disconnect?(): void;
}

/** A library whose words for it are others is open by then. */
const OPENS_MS = 10_000;

/**
 * Hears of the opening and the end of a connection that a site's own script has opened, with whatever library.
 *
 * @param ended Called when the site's script closes it: then it is not to be opened again.
 * @returns Closes it.
 */
export function observe(value: unknown, { opened, lost }: ConnectionEvents, ended: () => void): () => void {
  const socket = (value ?? {}) as SocketLike;
  const { readyState } = socket;
  if (socket.addEventListener) {
    socket.addEventListener("open", opened);
    for (const type of ["close", "error"]) socket.addEventListener(type, lost);
  } else if (socket.on) {
    for (const type of ["open", "connect"]) socket.on(type, opened);
    for (const type of ["close", "disconnect", "end"]) socket.on(type, lost);
  } else {
    socket.onopen = both(socket.onopen, opened);
    socket.onclose = both(socket.onclose, lost);
  }

  // It may have been opened long before the page was started.
  if (readyState === 1 || readyState === "open") queueMicrotask(opened);
  if (readyState === 2 || readyState === 3 || readyState === "closed") queueMicrotask(lost);
  const timer = readyState === 0 ? undefined : setTimeout(opened, OPENS_MS);

  const close = (socket.close ?? socket.disconnect)?.bind(socket);
  if (socket.close) {
    socket.close = (...reason: unknown[]) => {
      close?.(...(reason as []));
      ended();
    };
  }
  return () => {
    clearTimeout(timer);
    close?.();
  };
}

function both(theirs: SocketLike["onopen"], ours: () => void): (event: unknown) => void {
  return function (this: unknown, event) {
    theirs?.call(this, event);
    ours();
  };
}
