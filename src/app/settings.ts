/**
 * The settings of `tidings`: flags over environment over `tidings.config.ts` over defaults.
 * One table names them all; `tidings help` is printed from it.
 */
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { TidingsError } from "../errors.ts";
import type { Origins } from "../hub/origins.ts";
import { isServiceUrl } from "../services/service-url.ts";
import { didYouMean, type Flags, type FlagTypes, parseCommandLine, shown } from "./flags.ts";

/** What `tidings serve` runs on, checked. Paths are absolute. */
export interface Settings {
  /** Host name or address to listen on. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absent: made at the first start, and kept. */
  readonly token?: string;
  /** The folder of the store and of `token`. */
  readonly data: string;
  /** The SQLite file, or a `postgres://` URL. */
  readonly store: string;
  /** `"memory"`, or the URL of what joins several servers. */
  readonly bus: string;
  /** Where channels that are no stored page keep their history: `"store"`, `"memory"`, or a `redis://` URL. */
  readonly log: string;
  /** Fastify's `trustProxy`: whose `X-Forwarded-*` headers count. */
  readonly trustProxy: boolean | number | readonly string[];
  /** Post HTML as it comes, not sanitised. */
  readonly trustedHtml: boolean;
  /** 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  /** How long it serves on after SIGTERM, as not ready, in seconds. */
  readonly drainSeconds: number;
  /** Whose pages may read, the server's own always among them: what the hub takes. */
  readonly origins: Origins;
  /** Where readers find the server, without a slash at the end. Absent: where it listens. */
  readonly publicUrl?: string;
  /** `module#name`, or the publisher itself (or its class). */
  readonly publisher?: string | object;
  /** Of the relay: where the site's Redis is. */
  readonly redisUrl: string;
  /** Of the relay: the prefix of the site's channel layer. Absent: the site publishes without Django Channels. */
  readonly channelsPrefix?: string;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
}

/**
 * What `tidings.config.ts` may hold: settings as values or as their text.
 *
 * @example
 * // tidings.config.ts
 * export default { port: 9000, origins: ["https://news.example"] };
 */
export type Config = { readonly [name in SettingName]?: unknown };

export type SettingName = keyof Settings;

interface Setting {
  /** Takes text (flag, environment) or a value (config file). */
  readonly type: z.ZodType;
  /** What is allowed: it completes `<name> must be …`. */
  readonly allowed: string;
  /** For `tidings help`. */
  readonly help: string;
  readonly default?: string;
  readonly flag?: "boolean";
  /** Its value never shows in a message. */
  readonly secret?: true;
  /** What Wagtail Live calls it: the relay takes that, too. */
  readonly wagtail?: string;
}

const integer = (max: number) =>
  z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]).pipe(z.number().int().min(0).max(max));

const boolean = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);

const list = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== ""),
  ),
]);

const origin = z
  .string()
  .refine((text) => text === "*" || isOrigin(text))
  .transform((text) => (text === "*" ? text : new URL(text).origin));

const url = z
  .string()
  .refine((text) => {
    const { protocol, search, hash, username } = parseUrl(text) ?? {};
    return /^https?:$/.test(protocol ?? "") && !search && !hash && !username;
  })
  .transform((text) => text.replace(/\/+$/, ""));

const path = z
  .string()
  .min(1)
  .refine((text) => !text.includes("://"));

const service = (...schemes: readonly string[]): z.ZodType<string> =>
  z.string().refine((text) => isServiceUrl(text, schemes));

const ENCODED = "(signs such as % in a password percent-encoded)";
const REDIS_URL = `redis://[user:password@]host[:port][/database number] ${ENCODED}`;

export const SETTINGS: Readonly<Record<SettingName, Setting>> = {
  host: {
    type: z.string().regex(/^[^\s/]+$/),
    allowed: "a host name or an address to listen on",
    help: "host name or address to listen on",
    default: "localhost",
    wagtail: "WAGTAIL_LIVE_SERVER_HOST",
  },
  port: {
    type: integer(65_535),
    allowed: "a port number from 0 to 65535 (0: any free one)",
    help: "port to listen on; 0: any free one",
    default: "8765",
    wagtail: "WAGTAIL_LIVE_SERVER_PORT",
  },
  token: {
    type: z.string().regex(/^[\x21-\x7e]{16,}$/),
    allowed: "at least 16 visible ASCII characters, without spaces",
    help: "what writing needs (made at the first start, and kept, if not given)",
    secret: true,
  },
  data: {
    type: path,
    allowed: "a folder",
    help: "folder of the store and the token",
    default: "./data",
  },
  store: {
    type: z.union([service("postgres", "postgresql"), path]),
    allowed: `a SQLite file or a postgres:// URL ${ENCODED}`,
    help: "pages and posts: a SQLite file (default: tidings.db in data), postgres://…",
  },
  bus: {
    type: z.union([
      z.literal("memory"),
      service("redis", "rediss", "nats", "tls", "postgres", "postgresql", "amqp", "amqps"),
    ]),
    allowed: `"memory", or a nats://, postgres:// or amqp:// URL, or ${REDIS_URL}`,
    help: "joins several servers: redis://, nats://, postgres://, amqp://…",
    default: "memory",
  },
  log: {
    type: z.union([z.enum(["store", "memory"]), service("redis", "rediss")]),
    allowed: `"store", "memory" or ${REDIS_URL}`,
    help: "history of channels without a stored page: store, memory, redis://…",
    default: "store",
  },
  trustProxy: {
    type: z.union([boolean, integer(100), list.pipe(z.array(z.string().refine(isAddress)).min(1))]),
    allowed: "true, false, a number of hops, or addresses and CIDR ranges with commas between them",
    help: "whose X-Forwarded-* headers count: true, false, hops, addresses",
    default: "false",
  },
  trustedHtml: {
    type: boolean,
    allowed: "true or false",
    help: "take HTML as it comes, without sanitising it",
    default: "false",
    flag: "boolean",
  },
  maxConnectionsPerAddress: {
    type: integer(Number.MAX_SAFE_INTEGER),
    allowed: "a number of connections (0: no limit)",
    help: "sockets that one address may hold; 0: no limit",
    default: "0",
  },
  drainSeconds: {
    type: integer(300),
    allowed: "a whole number of seconds from 0 to 300 (0: it closes at once)",
    help: "on SIGTERM, serve on for so long while /readyz answers 503; 0: close at once",
    default: "0",
  },
  origins: {
    type: list.pipe(z.array(origin)).transform((origins) => [...new Set(["own", ...origins])]),
    allowed: `origins such as https://news.example with commas between them, or "*"`,
    help: "sites whose pages may read, besides its own; *: any",
    default: "",
  },
  publicUrl: {
    type: url,
    allowed: "an http or https URL without query and fragment",
    help: "where readers find the server, if not where it listens",
  },
  publisher: {
    type: z.union([
      z.string().min(1),
      z.custom<object>(
        (value) => (typeof value === "object" && value !== null) || typeof value === "function",
      ),
    ]),
    allowed: `a module and a name, such as "./publishers/mine.ts#MyWebsocketPublisher"`,
    help: "a publisher of your own: module#name",
  },
  redisUrl: {
    type: service("redis", "rediss"),
    allowed: REDIS_URL,
    help: "the Redis of the site",
    default: "redis://127.0.0.1:6379/1",
    wagtail: "WAGTAIL_LIVE_REDIS_URL",
  },
  channelsPrefix: {
    type: z.string().min(1),
    allowed: "the prefix of a channel layer",
    help: 'the prefix of the channels_redis.pubsub layer, for sites on Django Channels ("asgi")',
  },
  logLevel: {
    type: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    allowed: "trace, debug, info, warn, error, fatal or silent",
    help: "how much is logged: trace, debug, info, warn, error, fatal, silent",
    default: "info",
  },
};

/** What `tidings relay` runs on. */
export type RelaySettings = Pick<Settings, (typeof RELAY_SETTINGS)[number]>;

export const RELAY_SETTINGS = [
  "host",
  "port",
  "redisUrl",
  "channelsPrefix",
  "origins",
  "trustProxy",
  "maxConnectionsPerAddress",
  "drainSeconds",
  "token",
  "logLevel",
] as const;

export const SERVE_SETTINGS: readonly SettingName[] = (Object.keys(SETTINGS) as SettingName[]).filter(
  (name) => name !== "redisUrl" && name !== "channelsPrefix",
);

/** Variables that are no setting of a server: for `tidings post` and `tidings pages`. */
const OTHER_VARIABLES = ["TIDINGS_URL"];

/** `maxConnections` → `max-connections`. */
export function flagName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `maxConnections` → `TIDINGS_MAX_CONNECTIONS`. */
export function variableName(name: string): string {
  return `TIDINGS_${flagName(name).replaceAll("-", "_").toUpperCase()}`;
}

/** The flags of these settings, for `parseCommandLine`. */
export function settingFlags(names: readonly SettingName[]): FlagTypes {
  return Object.fromEntries(names.map((name) => [flagName(name), SETTINGS[name].flag ?? "string"]));
}

/** The flags of a command that takes nothing else. Throws `settings`. */
export function parseSettingFlags(
  command: string,
  args: readonly string[],
  names: readonly SettingName[],
): Flags {
  const { flags, positionals } = parseCommandLine(args, settingFlags(names));
  const [first] = positionals;
  if (first === undefined) return flags;
  throw new TidingsError("settings", `${command} takes flags only, not ${shown(first)}`);
}

export interface SettingSources {
  /** By flag name: `{ "log-level": "warn" }`. */
  readonly flags?: Flags;
  /** An empty variable counts as none. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where `tidings.config.ts` is looked for, and what paths are relative to. Default: the current folder. */
  readonly cwd?: string;
  /** Is told of variables that look like settings and are none. */
  readonly warn?: (message: string) => void;
}

/**
 * Gathers and checks the settings. Throws `settings` with one line that names the culprit, where it stood and
 * what is allowed; `field` is the setting's name.
 *
 * @example
 * const settings = await readSettings({ flags: { port: "9000" } });
 */
export async function readSettings(sources: SettingSources = {}): Promise<Settings> {
  const { cwd = process.cwd() } = sources;
  const settings = await gather(SERVE_SETTINGS, sources, () => undefined);
  const data = resolve(cwd, settings.data as string);
  const store =
    settings.store === undefined
      ? join(data, "tidings.db")
      : isUrl(settings.store as string)
        ? (settings.store as string)
        : resolve(cwd, settings.store as string);
  return { ...(settings as unknown as Settings), data, store };
}

/**
 * The same for the relay, which takes Wagtail Live's own variables, too: `TIDINGS_*` comes before them. By default any
 * origin may read.
 */
export async function readRelaySettings(sources: SettingSources = {}): Promise<RelaySettings> {
  const { env = process.env, warn } = sources;
  for (const name of SERVE_SETTINGS.filter((each) => !(RELAY_SETTINGS as readonly string[]).includes(each))) {
    const hint = name === "bus" ? ": the site's Redis is TIDINGS_REDIS_URL" : "";
    if (env[variableName(name)]) warn?.(`${variableName(name)} (environment) is not for the relay${hint}`);
  }
  const settings = await gather(RELAY_SETTINGS, sources, (name) => SETTINGS[name].wagtail);
  return { ...settings, origins: settings.origins.length > 1 ? settings.origins : ["*"] };
}

async function gather(
  names: readonly SettingName[],
  { flags = {}, env = process.env, cwd = process.cwd(), warn }: SettingSources,
  aliasOf: (name: SettingName) => string | undefined,
): Promise<Settings> {
  const config = await readConfig(cwd);
  warnOfStrangers(env, warn);
  const settings: Record<string, unknown> = {};
  for (const name of names) {
    const flag = flags[flagName(name)];
    const variable = [variableName(name), aliasOf(name)].find((each) => each !== undefined && env[each]);
    let value: unknown;
    if (flag !== undefined) value = check(name, flag, `--${flagName(name)} (flag)`);
    else if (variable !== undefined) value = check(name, env[variable], `${variable} (environment)`);
    else if (config.values[name] !== undefined) {
      value = check(name, config.values[name], `${name} (${config.file})`);
    } else if (SETTINGS[name].default !== undefined) value = check(name, SETTINGS[name].default, name);
    if (value !== undefined) settings[name] = value;
  }
  return settings as unknown as Settings;
}

/** Whether a setting names a server rather than a file. */
export const isUrl = (text: string): boolean => text.includes("://");

/** Where `tidings serve` listens, as a URL that works on the same machine; no slash at the end. */
export function localUrl(settings: Pick<Settings, "host" | "port">): string {
  const anywhere: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  const host = anywhere[settings.host] ?? settings.host;
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${settings.port}`;
}

function check(name: SettingName, given: unknown, source: string): unknown {
  const { type, allowed, secret } = SETTINGS[name];
  const result = type.safeParse(given);
  if (result.success) return result.data;
  throw wrong(name, `${source}${secret ? "" : ` is ${shown(given)}; it`} must be ${allowed}`);
}

function wrong(name: string, message: string, cause?: unknown): TidingsError {
  return new TidingsError("settings", message, { field: name, cause });
}

function warnOfStrangers(env: SettingSources["env"], warn: SettingSources["warn"]): void {
  const known = [...Object.keys(SETTINGS).map(variableName), ...OTHER_VARIABLES];
  for (const variable of Object.keys(env ?? {})) {
    if (!variable.startsWith("TIDINGS_") || variable.startsWith("TIDINGS_TEST_")) continue;
    if (known.includes(variable)) continue;
    warn?.(`${variable} (environment) is no setting${didYouMean(variable, known)}`);
  }
}

const CONFIG_FILES = ["tidings.config.ts", "tidings.config.js", "tidings.config.mjs"];

async function readConfig(cwd: string): Promise<{ file: string; values: Config }> {
  const file = CONFIG_FILES.find((name) => existsSync(join(cwd, name)));
  if (file === undefined) return { file: "", values: {} };
  let values: unknown;
  try {
    values = ((await import(pathToFileURL(join(cwd, file)).href)) as { default?: unknown }).default;
  } catch (cause) {
    throw wrong(file, `${file} cannot be loaded: ${loadFailure(cause)}`, cause);
  }
  if (typeof values !== "object" || values === null) {
    throw wrong(
      file,
      `${file} must have a default export that holds settings: export default { port: 9000 }`,
    );
  }
  const known = Object.keys(SETTINGS);
  for (const name of Object.keys(values)) {
    if (known.includes(name)) continue;
    throw wrong(name, `${name} (${file}) is no setting${didYouMean(name, known)}`);
  }
  return { file, values };
}

/** Why a module could not be loaded, in one line. @param instead What to write where Node reads no TypeScript. */
export function loadFailure(cause: unknown, instead = "tidings.config.js"): string {
  if ((cause as { code?: unknown } | null)?.code === "ERR_UNKNOWN_FILE_EXTENSION") {
    return `Node ${process.versions.node} does not read TypeScript; use Node 22.18 or newer, or write ${instead}`;
  }
  return String((cause as Error | null)?.message ?? cause).split("\n", 1)[0]!;
}

function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function isOrigin(text: string): boolean {
  const parsed = parseUrl(text);
  return parsed !== null && /^https?:$/.test(parsed.protocol) && `${parsed.origin}/` === parsed.href;
}

/** What Fastify's `trustProxy` takes in a list: an address, a CIDR range, or a range's well-known name. */
function isAddress(text: string): boolean {
  if (["loopback", "linklocal", "uniquelocal"].includes(text)) return true;
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32));
}
