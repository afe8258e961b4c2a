import type { Socket } from "engine.io";
import { getRedisUrl, RedisBus } from "tidings/publishers/redis";

/** Broadcasts `message` to `recipients`. */
function broadcast(message: string, recipients: readonly Socket[]): void {
  for (const socket of recipients) socket.send(message);
}

export const bus: RedisBus<Socket> = new RedisBus({ url: getRedisUrl(), broadcast });
