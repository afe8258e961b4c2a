/** Pusher's HTTP API, which Soketi and Laravel Reverb speak too. */
import { createHash, createHmac } from "node:crypto";
import { MAX_PUSHER_CHANNEL, pusherChannel } from "../client/hosted-channels.ts";
import { TidingsError } from "../errors.ts";
import { isServiceUrl } from "../services/service-url.ts";
import { type HostedOptions, HostedPublisher, type HostedRequest } from "./hosted.ts";

const WHERE = "pusher publisher";
/** What Pusher takes of an event's data, in bytes. */
const MAX_BYTES = 10_000;

export interface PusherOptions extends HostedOptions {
  /** `https://<key>:<secret>@api-<cluster>.pusher.com/apps/<app id>`. Default: the environment's `PUSHER_URL`. */
  readonly url?: string | undefined;
  /** The longest message, in bytes. Default 10,000, which is Pusher's limit; others may have another. */
  readonly maxBytes?: number | undefined;
}

/**
 * Hands each update to Pusher Channels, or to a server that speaks its protocol, as the event `update`. Readers follow
 * with `PusherWebsocketPublisher` of `tidings/client/hosted`.
 *
 * @example
 * const publisher = new PusherPublisher({ url: "http://app-key:app-secret@127.0.0.1:6001/apps/app-id" });
 * await publisher.publish("finals", { 7: { show: true, content: "<p>Goal!</p>", at: 12 } }, [], { cursor });
 */
export class PusherPublisher extends HostedPublisher {
  readonly #events: URL;
  readonly #key: string;
  readonly #secret: string;

  /** Throws `settings` when there is no such URL. */
  constructor({ url = process.env.PUSHER_URL, maxBytes = MAX_BYTES, ...options }: PusherOptions = {}) {
    const { events, key, secret } = settingsOf(url);
    super(WHERE, [secret], { ...options, maxBytes });
    this.#events = events;
    this.#key = key;
    this.#secret = secret;
  }

  protected override request(channelId: string, message: string): HostedRequest {
    const channel = pusherChannel(channelId);
    if (channel.length > MAX_PUSHER_CHANNEL) {
      const rule = `a page at Pusher is called ${MAX_PUSHER_CHANNEL} characters at most, not ${channel}`;
      throw new TidingsError("invalid", rule, { where: WHERE, field: "channelId" });
    }
    const body = JSON.stringify({ name: "update", channels: [channel], data: message });
    const url = new URL(this.#events);
    url.search = signedQuery(url.pathname, body, this.#key, this.#secret, Math.floor(Date.now() / 1_000));
    return { url, body };
  }
}

/**
 * The query that proves who posts `body` to `path`, at a time in seconds of the epoch.
 *
 * @example
 * `${path}?${signedQuery(path, body, key, secret, Math.floor(Date.now() / 1000))}`;
 */
export function signedQuery(path: string, body: string, key: string, secret: string, time: number): string {
  const md5 = createHash("md5").update(body).digest("hex");
  const query = `auth_key=${key}&auth_timestamp=${time}&auth_version=1.0&body_md5=${md5}`;
  const signature = createHmac("sha256", secret).update(`POST\n${path}\n${query}`).digest("hex");
  return `${query}&auth_signature=${signature}`;
}

function settingsOf(text: string | undefined): { events: URL; key: string; secret: string } {
  const url = URL.parse(text ?? "");
  const [, app] = /^\/apps\/([^/]+)\/?$/.exec(url?.pathname ?? "") ?? [];
  if (!url || !isServiceUrl(url.href, ["http", "https"]) || !app || !url.username || !url.password) {
    // The URL is not shown: it holds the secret.
    const rule = `PUSHER_URL ${text ? "is wrong" : "is not set"}: it must be https://<key>:<secret>@api-<cluster>.pusher.com/apps/<app id>, with a % in the secret written %25`;
    throw new TidingsError("settings", rule, { where: WHERE });
  }
  const [key, secret] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  return { events: new URL(`/apps/${app}/events`, url.origin), key, secret };
}
