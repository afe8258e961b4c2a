import { connect } from "mqtt";
import type { Bus, Listener } from "tidings";
import { decodeAnnouncement, encodeAnnouncement } from "tidings/buses/encoding";

export function mqttBus(url: string, prefix = "tidings"): Bus {
  const client = connect(url); // it reconnects, and subscribes to everything again
  const topics = new Map<string, Set<Listener>>();
  const topicOf = (channel: string) => `${prefix}/${encodeURIComponent(channel)}`;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (step: () => Promise<unknown>) => (last = last.then(step, step));
  client.on("error", ({ message }) => console.error(`mqtt bus: ${message}`));
  client.on("message", (topic, payload) => {
    for (const listener of topics.get(topic) ?? [])
      (async () => listener(decodeAnnouncement(payload.toString())))().catch(console.error);
  });
  return {
    async publish(channel, announcement) {
      if (!client.connected || client.stream.writableLength > 16_000_000) return; // the log has it
      client.publish(topicOf(channel), encodeAnnouncement(announcement), () => {});
    },
    async subscribe(channel, listener) {
      const [topic, own] = [topicOf(channel), ((said) => listener(said)) as Listener];
      const listeners = topics.get(topic) ?? new Set();
      topics.set(topic, listeners.add(own));
      await inTurn(() => client.subscribeAsync(topic));
      return async () => {
        if (!listeners.delete(own) || listeners.size > 0 || topics.get(topic) !== listeners) return;
        topics.delete(topic);
        await inTurn(() => client.unsubscribeAsync(topic));
      };
    },
    onStatus(listener) {
      const [up, down] = [() => listener("up"), () => listener("down")];
      client.on("connect", up).on("offline", down);
      return () => void client.off("connect", up).off("offline", down);
    },
    close: () => client.endAsync(true),
  };
}
