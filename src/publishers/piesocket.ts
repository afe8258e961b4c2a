/** PieSocket's protocol, with Wagtail Live's settings for it. */
import { MAX_PIESOCKET_ROOM, pieSocketRoom } from "../client/hosted-channels.ts";
import { TidingsError } from "../errors.ts";
import { type HostedOptions, HostedPublisher, type HostedRequest } from "./hosted.ts";

export interface PieSocketOptions extends HostedOptions {
  /** Default: the environment's `PIESOCKET_API_KEY`. */
  readonly apiKey?: string | undefined;
  /** Default: the environment's `PIESOCKET_SECRET`. */
  readonly secret?: string | undefined;
  /** Where readers connect to: `us-nyc-1.piesocket.com/v3/`. Default: the environment's `PIESOCKET_ENDPOINT`. */
  readonly endpoint?: string | undefined;
}

/**
 * Hands each update to PieSocket. Readers follow with `PieSocketWebsocketPublisher` of `tidings/client/hosted`; those
 * of Wagtail Live get the messages that they know.
 *
 * @example
 * const publisher = new PieSocketPublisher({ apiKey, secret, endpoint: "us-nyc-1.piesocket.com/v3/" });
 * await publisher.publish("finals", { 7: { show: true, content: "<p>Goal!</p>", at: 12 } }, [], { cursor });
 */
export class PieSocketPublisher extends HostedPublisher {
  readonly #url: URL;
  readonly #apiKey: string;
  readonly #secret: string;

  /** Throws `settings` naming what is missing. */
  constructor(options: PieSocketOptions = {}) {
    const { env } = process;
    const apiKey = needed(options.apiKey ?? env.PIESOCKET_API_KEY, "PIESOCKET_API_KEY");
    const secret = needed(options.secret ?? env.PIESOCKET_SECRET, "PIESOCKET_SECRET");
    const endpoint = needed(options.endpoint ?? env.PIESOCKET_ENDPOINT, "PIESOCKET_ENDPOINT");
    super(WHERE, [secret], options);
    this.#url = publishUrl(endpoint);
    this.#apiKey = apiKey;
    this.#secret = secret;
  }

  protected override request(channelId: string, message: string): HostedRequest {
    const room = pieSocketRoom(channelId);
    if (room.length > MAX_PIESOCKET_ROOM) {
      const rule = `a page at PieSocket is called ${MAX_PIESOCKET_ROOM} characters at most, not ${room}`;
      throw new TidingsError("invalid", rule, { where: WHERE, field: "channelId" });
    }
    // The message is JSON already. PieSocket's `channelId` has become its `roomId`.
    const head = JSON.stringify({ key: this.#apiKey, secret: this.#secret, roomId: room, channelId: room });
    return { url: this.#url, body: `${head.slice(0, -1)},"message":${message}}` };
  }
}

const WHERE = "piesocket publisher";

/** A cluster publishes where its readers are. */
function publishUrl(endpoint: string): URL {
  const url = endpoint.includes("://") ? endpoint.replace(/^ws/, "http") : `https://${endpoint}`;
  if (URL.canParse(url) && /^https?:/.test(url)) return new URL("/api/publish", url);
  const example = "PIESOCKET_ENDPOINT must be like us-nyc-1.piesocket.com/v3/";
  throw new TidingsError("settings", example, { where: WHERE });
}

function needed(value: string | undefined, name: string): string {
  if (value) return value;
  throw new TidingsError("settings", `${name} is not set`, { where: WHERE });
}
