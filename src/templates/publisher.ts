import { TidingsError } from "../errors.ts";
import { html, raw, scriptString } from "../html.ts";

export interface PublisherSettings {
  /** The page to follow. Default: `data-channel-id` of `#live-posts`. */
  readonly channelId?: string | undefined;
  /** The host that readers' browsers connect to, without a port. */
  readonly serverHost: string;
  readonly serverPort: number | string;
  /** `wss:` in place of `ws:`. Default `false`; an https page uses `wss:` always. */
  readonly useSecureWsConnection?: boolean | undefined;
  /** Where the scripts are served. Default: `/assets`. */
  readonly assetsUrl?: string | undefined;
  /** The nonce of the page's Content-Security-Policy, where it has one. */
  readonly nonce?: string | undefined;
}

/**
 * The tags that make a page live, to be put below its {@link livePosts}: the guide's constants, the client, and
 * the line that starts it.
 *
 * Throws `settings` when host or port cannot be part of a URL.
 *
 * @example
 * publisherTags({ channelId: "finals", serverHost: "localhost", serverPort: 8765 });
 */
export function publisherTags(settings: PublisherSettings): string {
  const { channelId, useSecureWsConnection = false, assetsUrl = "/assets", nonce } = settings;
  const withNonce = nonce !== undefined && html` nonce="${nonce}"`;
  const channel = channelId !== undefined && html`const channelID = ${scriptString(channelId)};\n  `;
  return String(html`<script${withNonce}>
  ${channel}const serverHost = ${scriptString(serverHost(settings))};
  const serverPort = ${scriptString(serverPort(settings))};
  const useSecureWsConnection = ${raw(useSecureWsConnection ? "true" : "false")};
</script>
<script${withNonce} src="${assetsUrl}/tidings.js"></script>
<script${withNonce}>
  tidings.connect({ url: \`\${serverHost}:\${serverPort}\` });
</script>`);
}

/** The host, when it may stand in a URL and in a script; an IPv6 address needs its brackets. */
export function serverHost({ serverHost: host }: Pick<PublisherSettings, "serverHost">): string {
  if (/^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(host)) return host;
  throw new TidingsError("settings", `serverHost must be a host name or an address, not "${host}"`);
}

/** The port as text, when it is one. */
export function serverPort({ serverPort: port }: Pick<PublisherSettings, "serverPort">): string {
  if (/^[1-9]\d{0,4}$/.test(String(port)) && Number(port) <= 65_535) return String(port);
  throw new TidingsError("settings", `serverPort must be a number from 1 to 65535, not "${port}"`);
}
