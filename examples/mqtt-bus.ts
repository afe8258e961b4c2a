import { EventEmitter } from "node:events";
import { connect } from "mqtt";
import { type Bus, TidingsError } from "tidings";
import { decodeAnnouncement, encodeAnnouncement } from "tidings/buses/encoding";

export function mqttBus(url: string, prefix = "tidings"): Bus {
  const client = connect(url); // it reconnects, and subscribes to everything again
  const heard = new EventEmitter({ captureRejections: true }).setMaxListeners(0).on("error", console.error);
  const topicOf = (channel: string) => `${prefix}/${encodeURIComponent(channel)}`;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (step: () => Promise<unknown>) => (last = last.then(step, step));
  client.on("error", ({ message }) => console.error(`mqtt bus: ${message}`));
  client.on("message", (topic, payload) => heard.emit(topic, payload.toString()));
  return {
    async publish(channel, announcement) {
      if (!client.connected || client.stream.writableLength > 16_000_000) return; // the log has it
      client.publish(topicOf(channel), encodeAnnouncement(announcement), () => {});
    },
    async subscribe(channel, listener) {
      const topic = topicOf(channel);
      const own = async (text: string) => listener(decodeAnnouncement(text));
      heard.on(topic, own);
      await inTurn(() => client.subscribeAsync(topic)).catch((error) => {
        heard.off(topic, own);
        throw client.disconnecting ? new TidingsError("closed", "the mqtt bus has been closed") : error;
      });
      return async () => {
        heard.off(topic, own);
        if (heard.listenerCount(topic) === 0) await inTurn(() => client.unsubscribeAsync(topic));
      };
    },
    onStatus(listener) {
      const tell = () => listener(client.connected ? "up" : "down");
      if (!client.on("connect", tell).on("offline", tell).connected) tell();
      return () => void client.off("connect", tell).off("offline", tell);
    },
    close: () => client.endAsync(true),
  };
}
