/** Health and metrics. */
import type { FastifyInstance } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Hub, HubStats } from "../hub/hub.ts";
import type { Log } from "../logs/log.ts";
import type { Relay } from "../relay/relay.ts";
import type { ReaderServer } from "./reader-server.ts";

const GAUGES: Readonly<Partial<Record<keyof HubStats, readonly [name: string, help: string]>>> = {
  readers: ["tidings_readers", "Readers connected now"],
  channels: ["tidings_channels", "Pages with readers, or with some a few seconds ago"],
  lagging: ["tidings_readers_lagging", "Readers that have not taken all that was sent"],
};

const COUNTERS: Readonly<Partial<Record<keyof HubStats, readonly [name: string, help: string]>>> = {
  admitted: ["tidings_readers_admitted_total", "Readers let in"],
  refused: ["tidings_readers_refused_total", "Readers turned away before the upgrade"],
  polls: ["tidings_polls_total", "Answers to readers that ask now and then"],
  frames: ["tidings_frames_total", "Frames written to readers"],
  updates: ["tidings_updates_total", "Updates that the bus brought in order"],
  catchUps: ["tidings_catch_ups_total", "Times the log was asked what a reader had missed"],
  resets: ["tidings_resets_total", "Readers told that their cursor does not hold"],
  gaps: ["tidings_gaps_total", "Times the log had more than the bus had brought"],
};

const LASTING: ReadonlySet<string> = new Set(["/sse/channel/*", "/updates/channel/*"]);

export interface Observed {
  readonly hub: Hub;
  /** Asks what must be there to serve at all. */
  readonly heads: Log["heads"];
  /** In any other than `serving`, work had better go to another server. */
  readonly phase: ReaderServer["phase"];
  /** What it serves comes over the bus alone: without it another server had better take the readers. */
  readonly isDeafWithoutBus?: boolean;
}

/** Adds `/healthz` and `/readyz`, for everybody. */
export function healthRoutes(
  app: FastifyInstance,
  { hub, heads, phase, isDeafWithoutBus = false }: Observed,
): void {
  app.get("/healthz", async () => ({ status: "ok" }));

  app.get("/readyz", async (_request, reply) => {
    if (phase() !== "serving") return reply.code(503).send({ status: phase() });
    try {
      await heads(["readyz"]);
    } catch {
      return reply.code(503).send({ status: "the store cannot be read" });
    }
    const bus = hub.busStatus();
    if (bus === "down" && isDeafWithoutBus) return reply.code(503).send({ status: "hears nothing", bus });
    // Without its bus a server still delivers: it asks the log every second.
    return { status: "ok", bus };
  });
}

export interface Metrics {
  /** Measures every request of `app`. */
  observe(app: FastifyInstance): void;
  /** Adds `/metrics`; put it where the token is checked. */
  route(app: FastifyInstance): void;
}

export function createMetrics(hub: Hub, relay?: Pick<Relay, "stats">): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  for (const [stat, [name, help]] of entries(GAUGES)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(hub.stats()[stat]);
      },
    });
  }
  const count = (name: string, help: string, now: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(now());
      },
    });
  for (const [stat, [name, help]] of entries(COUNTERS)) count(name, help, () => hub.stats()[stat]);
  if (relay) {
    count(
      "tidings_relay_messages_total",
      "Messages of the site that came for pages with readers",
      () => relay.stats().messages,
    );
    count(
      "tidings_relay_unreadable_total",
      "Messages that hold no update, or not a whole one",
      () => relay.stats().unreadable,
    );
  }
  const bus = new Gauge({ name: "tidings_bus_up", help: "1 while the bus listens", registers });
  const seconds = new Histogram({
    name: "tidings_http_request_seconds",
    help: "How long requests took, by route and status",
    labelNames: ["method", "route", "status"],
    registers,
  });

  return {
    observe(app) {
      app.addHook("onResponse", async (request, reply) => {
        const route = request.routeOptions.url ?? "none";
        // How long a reader stayed is no measure of the server.
        if (LASTING.has(route)) return;
        const labels = { method: request.method, route, status: reply.statusCode };
        seconds.observe(labels, reply.elapsedTime / 1000);
      });
    },

    route(app) {
      app.get("/metrics", async (_request, reply) => {
        bus.set(hub.busStatus() === "up" ? 1 : 0);
        return reply.type(registry.contentType).send(await registry.metrics());
      });
    },
  };
}

function entries(table: typeof GAUGES): [keyof HubStats, readonly [string, string]][] {
  return Object.entries(table) as [keyof HubStats, readonly [string, string]][];
}
