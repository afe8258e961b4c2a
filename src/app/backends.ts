/** The store, the log and the bus that the settings name; only what is named is loaded. */
import { dirname } from "node:path";
import type { Bus } from "../buses/bus.ts";
import { memoryBus } from "../buses/memory.ts";
import type { Log } from "../logs/log.ts";
import { memoryLog } from "../logs/memory.ts";
import { routedLog } from "../logs/routed.ts";
import type { RenderOptions } from "../pages/render.ts";
import type { PageStore } from "../pages/store.ts";
import type { OnError } from "../publishers/publisher.ts";
import { isUrl, type Settings } from "./settings.ts";

/** Opens the store of pages; rejects with `unavailable` when it cannot be reached. */
export async function openStore(
  { store }: Settings,
  render: RenderOptions,
  onError: OnError,
): Promise<PageStore> {
  if (isUrl(store)) {
    const { postgresStore } = await import("../pages/postgres.ts");
    return postgresStore({ url: store, render, onError });
  }
  const { sqliteStore } = await import("../pages/sqlite.ts");
  return sqliteStore({ path: store, render });
}

/** The folders that must be there before the store is opened. */
export function foldersOf({ data, store }: Settings): string[] {
  return isUrl(store) ? [data] : [data, dirname(store)];
}

const BUSES: Readonly<Record<string, (url: string, onError: OnError) => Promise<Bus>>> = {
  redis: async (url, onError) => (await import("../buses/redis.ts")).redisBus({ url, onError }),
  nats: async (url, onError) => (await import("../buses/nats.ts")).natsBus({ url, onError }),
  postgres: async (url, onError) => (await import("../buses/postgres.ts")).postgresBus({ url, onError }),
  amqp: async (url, onError) => (await import("../buses/rabbitmq.ts")).rabbitmqBus({ url, onError }),
};
const ALIASES: Readonly<Record<string, string>> = {
  rediss: "redis",
  tls: "nats",
  postgresql: "postgres",
  amqps: "amqp",
};

/** Opens the bus. One that cannot be reached now is no reason not to start: it comes when it comes. */
export async function openBus({ bus }: Settings, onError: OnError): Promise<Bus> {
  if (bus === "memory") return memoryBus({ onError });
  const scheme = bus.slice(0, bus.indexOf(":"));
  return BUSES[ALIASES[scheme] ?? scheme]!(bus, onError);
}

/** The log of all channels: the store is that of its pages, the setting names that of the others. */
export async function openLog({ log }: Settings, pages: PageStore, onError: OnError): Promise<Log> {
  if (log === "store") return pages;
  if (log === "memory") return routedLog({ pages, others: memoryLog() });
  const { redisLog } = await import("../logs/redis.ts");
  return routedLog({ pages, others: redisLog({ url: log, onError }) });
}
