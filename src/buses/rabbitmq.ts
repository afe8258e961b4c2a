import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import { TidingsError } from "../errors.ts";
import { within } from "../within.ts";
import type { Bus } from "./bus.ts";
import { type BusOnError, type Session, type SessionEvents, sessionBus } from "./sessions.ts";

const WHERE = "rabbitmq bus";
const CONNECT_WITHIN_MS = 5_000;
const SHUT_WITHIN_MS = 500;
/** A server that is silent for twice as long is taken for gone. */
const HEARTBEAT_SECONDS = 5;
/** What the server keeps for a process that does not read; beyond, the oldest goes, and the log has it. */
const QUEUE_BOUNDS = { "x-max-length": 10_000, "x-max-length-bytes": 64_000_000 };
/** Well below what servers take (16 MiB by default since RabbitMQ 4). */
const MAX_BYTES = 8_000_000;

/** What is used of a connection of `amqplib`. */
export interface AmqpConnection {
  createConfirmChannel(): Promise<AmqpChannel>;
}

/** What is used of a channel of `amqplib`, one with publisher confirms. */
export interface AmqpChannel {
  assertExchange(name: string, type: string, options: { durable: boolean }): Promise<unknown>;
  assertQueue(
    name: string,
    options: { exclusive: boolean; autoDelete: boolean; durable: boolean; arguments: object },
  ): Promise<{ queue: string }>;
  bindQueue(queue: string, exchange: string, routingKey: string): Promise<unknown>;
  unbindQueue(queue: string, exchange: string, routingKey: string): Promise<unknown>;
  consume(
    queue: string,
    onMessage: (message: AmqpMessage | null) => void,
    options: { noAck: boolean; exclusive: boolean },
  ): Promise<unknown>;
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: { headers: { channel: string }; contentType: string; deliveryMode: number },
    confirmed: (error: unknown) => void,
  ): boolean;
  close(): Promise<void>;
  on(event: "error" | "close", listener: (error?: Error) => void): unknown;
}

export interface AmqpMessage {
  readonly content: Buffer;
  readonly properties: { readonly headers?: Readonly<Record<string, unknown>> | undefined };
}

export interface RabbitmqBusOptions {
  /** `amqp://user:password@host:5672/vhost`, or `amqps://`. */
  readonly url?: string;
  /**
   * A connection of your own, in place of `url`; it is left open. When it ends the bus is down until it is back: pass
   * one with amqplib's `recovery`.
   */
  readonly connection?: AmqpConnection;
  /** The exchange's name. Default `tidings`. */
  readonly exchange?: string;
  /** Told what went wrong while nobody waited for an answer. Default: `console.error`. */
  readonly onError?: BusOnError;
}

/**
 * Announces over RabbitMQ (AMQP 0-9-1): a direct exchange, and for each process one exclusive queue of bounded length
 * that goes with it. The routing key is a hash of the channel id, the id itself is in the header `channel`. One
 * connection a process, with two channels.
 *
 * @example
 * const bus = rabbitmqBus({ url: "amqp://guest:guest@127.0.0.1:5672" });
 */
export function rabbitmqBus({ url, connection, exchange = "tidings", onError }: RabbitmqBusOptions): Bus {
  if ((url === undefined) === (connection === undefined)) {
    throw new TidingsError("settings", "give either url or connection", { where: WHERE });
  }
  const address = url === undefined ? "" : checkUrl(url);
  return sessionBus({
    where: WHERE,
    server: "RabbitMQ",
    open: async (events) => {
      if (connection) return openChannels(connection, exchange, events);
      const ours = await connectTo(address, events.ended);
      try {
        return { ...(await openChannels(ours, exchange, events)), close: () => shut(ours) };
      } catch (error) {
        void shut(ours);
        throw error;
      }
    },
    ...(onError && { onError }),
  });
}

/** Publishing has a channel of its own: what the server refuses on one ends only that one. */
async function openChannels(
  connection: AmqpConnection,
  exchange: string,
  { heard, ended }: SessionEvents,
): Promise<Session> {
  const channels: AmqpChannel[] = [];
  const close = async () => {
    await Promise.allSettled(channels.map((channel) => channel.close()));
  };

  async function openChannel(): Promise<AmqpChannel> {
    const channel = await connection.createConfirmChannel();
    channels.push(channel);
    channel.on("error", ended);
    channel.on("close", () => ended(new Error("the connection was cut")));
    return channel;
  }

  async function openQueue(channel: AmqpChannel): Promise<string> {
    await channel.assertExchange(exchange, "direct", { durable: false });
    const { queue } = await channel.assertQueue("", {
      exclusive: true,
      autoDelete: true,
      durable: false,
      arguments: QUEUE_BOUNDS,
    });
    await channel.consume(queue, hear, { noAck: true, exclusive: true });
    return queue;
  }

  function hear(message: AmqpMessage | null): void {
    const channel = message?.properties.headers?.channel;
    if (message === null) ended(new Error("the server ended the subscription"));
    else if (typeof channel === "string") heard(channel, message.content.toString());
  }

  try {
    const publishing = await openChannel();
    const listening = await openChannel();
    const queue = await openQueue(listening);
    return {
      maxBytes: MAX_BYTES,

      publish: (channel, body) =>
        new Promise((resolve, reject) => {
          const options = { headers: { channel }, contentType: "application/json", deliveryMode: 1 };
          publishing.publish(exchange, routingKeyOf(channel), body, options, (error) =>
            error ? reject(error) : resolve(),
          );
        }),

      async listen(channel) {
        await listening.bindQueue(queue, exchange, routingKeyOf(channel));
      },

      async unlisten(channel) {
        await listening.unbindQueue(queue, exchange, routingKeyOf(channel));
      },

      close,
    };
  } catch (error) {
    void close();
    throw error;
  }
}

/** Routing keys end at 255 bytes, ids do not. */
function routingKeyOf(channel: string): string {
  return createHash("sha256").update(channel).digest("base64url");
}

// --- connecting --------------------------------------------------------------------------------------------

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^amqps?:$/.test(url.protocol) || url.hostname === "") {
    // Without the URL: it may hold a password.
    throw new TidingsError("settings", "url must be amqp://host:port or amqps://host:port", { where: WHERE });
  }
  if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", String(HEARTBEAT_SECONDS));
  return url.href;
}

type OurConnection = AmqpConnection & { close(): Promise<void> };

async function connectTo(url: string, ended: (reason: unknown) => void): Promise<OurConnection> {
  let library: typeof import("amqplib");
  try {
    library = await import("amqplib");
  } catch (cause) {
    const detail = "the RabbitMQ bus needs a library: npm install amqplib";
    throw new TidingsError("settings", detail, { where: WHERE, cause });
  }
  const connection = await library.connect(url, { timeout: CONNECT_WITHIN_MS, noDelay: true });
  connection.on("error", ended);
  return connection;
}

/** Ends it in the proper way, or, when the server does not answer, by its socket. */
async function shut(connection: OurConnection): Promise<void> {
  await within(SHUT_WITHIN_MS, connection.close()).catch(() => {});
  const { stream } = (connection as { connection?: { stream?: Duplex } }).connection ?? {};
  stream?.destroy(new Error("closed"));
}
