/** The store, the log and the bus that the settings name; only what is named is loaded. */
import { dirname } from "node:path";
import type { Bus } from "../buses/bus.ts";
import { memoryBus } from "../buses/memory.ts";
import { TidingsError } from "../errors.ts";
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

interface BusKind {
  /** What must be installed beside Tidings. */
  readonly library: string;
  readonly open: (url: string, onError: OnError) => Promise<Bus>;
}

const REDIS: BusKind = {
  library: "redis",
  open: async (url, onError) => (await import("../buses/redis.ts")).redisBus({ url, onError }),
};
const NATS: BusKind = {
  library: "@nats-io/transport-node",
  open: async (url, onError) => (await import("../buses/nats.ts")).natsBus({ url, onError }),
};
const POSTGRES: BusKind = {
  library: "pg",
  open: async (url, onError) => (await import("../buses/postgres.ts")).postgresBus({ url, onError }),
};
const RABBITMQ: BusKind = {
  library: "amqplib",
  open: async (url, onError) => (await import("../buses/rabbitmq.ts")).rabbitmqBus({ url, onError }),
};

/** By the URL's scheme. */
const BUSES: Readonly<Record<string, BusKind>> = {
  redis: REDIS,
  rediss: REDIS,
  nats: NATS,
  tls: NATS,
  postgres: POSTGRES,
  postgresql: POSTGRES,
  amqp: RABBITMQ,
  amqps: RABBITMQ,
};

/** Opens the bus. One that cannot be reached now is no reason not to start: it comes when it comes. */
export async function openBus({ bus }: Settings, onError: OnError): Promise<Bus> {
  if (bus === "memory") return memoryBus({ onError });
  const { library, open } = BUSES[bus.slice(0, bus.indexOf(":"))]!;
  await need(library, "TIDINGS_BUS");
  return open(bus, onError);
}

/** A missing library would be told with each attempt to connect, for ever. */
export async function need(library: string, setting: string): Promise<void> {
  try {
    await import(library);
  } catch (cause) {
    throw new TidingsError("settings", `${setting} needs the package ${library}: npm install ${library}`, {
      cause,
    });
  }
}

/** The log of all channels: the store is that of its pages, the setting names that of the others. */
export async function openLog({ log }: Settings, pages: PageStore, onError: OnError): Promise<Log> {
  if (log === "store") return pages;
  if (log === "memory") return routedLog({ pages, others: memoryLog() });
  await need("redis", "TIDINGS_LOG");
  const { redisLog } = await import("../logs/redis.ts");
  return routedLog({ pages, others: redisLog({ url: log, onError }) });
}
