/** What a bus may do and a test cannot ask of it: repeat, reorder, and say what nobody understands. */
import { WebSocket } from "ws";
import type { Bus } from "../../src/buses/bus.ts";
import { natsBus } from "../../src/buses/nats.ts";
import { postgresBus } from "../../src/buses/postgres.ts";
import { rabbitmqBus } from "../../src/buses/rabbitmq.ts";
import { redisBus } from "../../src/buses/redis.ts";
import type { Entry } from "../../src/protocol.ts";
import type { BusKind } from "../../test/support/services.ts";
import type { Random } from "../random.ts";
import type { Site } from "./site.ts";

export interface Noise {
  begin(): void;
  end(): void;
  close(): Promise<void>;
}

const BUSES: Readonly<Record<BusKind, (url: string) => Bus>> = {
  redis: (url) => redisBus({ url, onError() {} }),
  nats: (url) => natsBus({ url, onError() {} }),
  postgres: (url) => postgresBus({ url, onError() {} }),
  rabbitmq: (url) => rabbitmqBus({ url, onError() {} }),
};

/** Listens to what readers get, and says it on the bus again. */
export function startNoise(site: Site, channel: string, random: Random): Noise {
  const bus = BUSES[site.bus](site.busService.url);
  const heard: Entry[] = [];
  let socket: WebSocket | undefined;
  let hasEnded = false;
  let timer: NodeJS.Timeout | undefined;

  function listen(): void {
    if (hasEnded) return;
    socket = new WebSocket(`ws://127.0.0.1:${site.balancer.port}/ws/channel/${encodeURIComponent(channel)}/`);
    socket.on("message", (data) => {
      const { renders, removals, cursor, reset } = JSON.parse(String(data));
      // A heartbeat with the number of an update would be a lie, not a repetition.
      const isEmpty = Object.keys(renders).length + removals.length === 0;
      if (cursor === undefined || reset || isEmpty) return;
      heard.push({ renders: new Map(Object.entries(renders)), removals, cursor } as Entry);
      if (heard.length > 50) heard.shift();
    });
    socket.on("error", () => {});
    socket.on("close", () => setTimeout(listen, 300));
  }
  listen();

  return {
    begin() {
      timer = setInterval(() => {
        if (heard.length === 0) return;
        const entry = random.pick(heard);
        const cursor = random.chance(0.2) ? `unheard-of.${random.integer(1, 100_000)}` : entry.cursor;
        const isWhole = cursor === entry.cursor && random.chance(0.5);
        void bus.publish(channel, isWhole ? entry : ({ cursor } as Entry)).catch(() => {});
      }, 50);
    },
    end: () => clearInterval(timer),
    async close() {
      clearInterval(timer);
      hasEnded = true;
      socket?.terminate();
      await bus.close();
    },
  };
}
