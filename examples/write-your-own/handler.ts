import type { Socket } from "engine.io";
import { isId } from "tidings";
import { bus } from "./bus.ts";

/** Keeps a connection on the event bus until it is closed. */
export function handle(socket: Socket): void {
  const query = new URL(socket.request.url ?? "", "http://localhost").searchParams;
  const channel = query.get("channel");
  if (!isId(channel)) return void socket.close();
  const group = `group_${channel}`;
  socket.on("close", () => bus.unsubscribe(group, socket));
  bus.subscribe(group, socket).catch(() => socket.close());
}
