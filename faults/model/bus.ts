/** A bus that loses, repeats, delays (and so reorders) what it carries, strips it to its cursor, and goes away. */

import type { Bus, BusStatus, Listener } from "../../src/buses/bus.ts";
import { decodeAnnouncement, encodeAnnouncement } from "../../src/buses/encoding.ts";
import { TidingsError } from "../../src/errors.ts";

/** How likely each fault is, per message and subscriber. */
export interface BusMood {
  readonly lose?: number;
  readonly repeat?: number;
  readonly bare?: number;
  /** Delays are drawn evenly from 0 to this, in milliseconds. */
  readonly delay?: number;
  /** The server is away: nothing is carried, subscriptions fail. */
  readonly down?: boolean;
}

export interface FaultyBus {
  mood(mood: BusMood): void;
  /** The bus as one process holds it. */
  join(): Bus;
}

export function faultyBus(random: () => number): FaultyBus {
  let mood: BusMood = {};
  const listeners = new Map<string, Set<Listener>>();
  const statuses = new Set<(status: BusStatus) => void>();

  function carry(channel: string, listener: Listener, text: string): void {
    const { lose = 0, repeat = 0, bare = 0, delay = 0 } = mood;
    if (random() < lose) return;
    const copies = random() < repeat ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const announcement = decodeAnnouncement(text);
      const carried = random() < bare ? { cursor: announcement.cursor } : announcement;
      setTimeout(() => {
        if (listeners.get(channel)?.has(listener)) listener(carried);
      }, random() * delay);
    }
  }

  return {
    mood(next) {
      const was = mood.down ?? false;
      mood = next;
      if (was === (next.down ?? false)) return;
      for (const told of statuses) told(next.down ? "down" : "up");
    },

    join: () => ({
      async publish(channel, announcement) {
        if (mood.down) return;
        const text = encodeAnnouncement(announcement);
        for (const listener of listeners.get(channel) ?? []) carry(channel, listener, text);
      },
      async subscribe(channel, listener) {
        if (mood.down) throw new TidingsError("unavailable", "the bus is away", { where: "model" });
        const all = listeners.get(channel) ?? new Set();
        listeners.set(channel, all.add(listener));
        return async () => void all.delete(listener);
      },
      onStatus(told) {
        statuses.add(told);
        if (mood.down) told("down");
        return () => void statuses.delete(told);
      },
      async close() {},
    }),
  };
}
