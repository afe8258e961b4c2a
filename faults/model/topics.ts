/**
 * A library that itself writes to many, as Bun does: what is published goes out when the turn of the event loop ends, or before
 * what is sent to the same socket. What is published to a socket that holds too much is lost, and who published is not told.
 */
import { wsTransport } from "../../src/adapters/ws-frames.ts";
import type { Admitted, Connection, Transport } from "../../src/hub/connection.ts";

/** The socket under a connection. */
export interface TopicSocket {
  readonly isFull: boolean;
  write(data: Buffer): void;
  /** Something was published to it while it was full. */
  dropped(): void;
}

export interface Library {
  readonly transport: Transport<Buffer>;
  /** Tells which socket the connection has that is opened. */
  on(socket: TopicSocket, admitted: Admitted<Buffer>): Admitted<Buffer>;
  /** What was published to a socket, and is not written yet, is written. */
  flush(socket: TopicSocket): void;
  /** It is closed, and with that of no topic. */
  forget(socket: TopicSocket): void;
}

/** How often it says that it cannot publish. */
const REFUSES = 0.1;

export function publishingLibrary(random: () => number): Library {
  const sockets = new WeakMap<Connection<Buffer>, TopicSocket>();
  const topics = new Map<string, Set<TopicSocket>>();
  const published = new Map<TopicSocket, Buffer[]>();

  function flush(socket: TopicSocket): void {
    const frames = published.get(socket) ?? [];
    published.delete(socket);
    for (const frame of frames) socket.write(frame);
  }

  function flushAll(): void {
    for (const socket of [...published.keys()]) flush(socket);
  }

  const subscribers = (topic: string) => {
    const known = topics.get(topic) ?? new Set();
    topics.set(topic, known);
    return known;
  };

  return {
    flush,

    forget(socket) {
      published.delete(socket);
      for (const each of topics.values()) each.delete(socket);
    },

    on: (socket, admitted) => ({
      ...admitted,
      open(connection) {
        sockets.set(connection, socket);
        return admitted.open(connection);
      },
    }),

    transport: {
      ...wsTransport,
      topics: {
        subscribe: (connection, topic) => void subscribers(topic).add(sockets.get(connection)!),
        unsubscribe: (connection, topic) => void subscribers(topic).delete(sockets.get(connection)!),
        publish(topic, frames) {
          if (random() < REFUSES) return false;
          setTimeout(flushAll, 0);
          for (const socket of subscribers(topic)) {
            if (socket.isFull) socket.dropped();
            else published.set(socket, [...(published.get(socket) ?? []), ...frames]);
          }
          return true;
        },
      },
    },
  };
}
