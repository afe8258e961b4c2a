/** `tidings help [command]`. */
import {
  flagName,
  RELAY_SETTINGS,
  SERVE_SETTINGS,
  SETTINGS,
  type SettingName,
  variableName,
} from "../settings.ts";

const MAIN = `Tidings makes a page live.

  tidings serve                       run a live blog: reader pages, editor, API
  tidings relay                       take the place of a Wagtail Live site's WebSocket servers
  tidings post <channel id> [text]    publish a post; reads standard input when no text is given
  tidings pages                       list the pages; also: create, delete
  tidings help [command]              this, or more about one command
  tidings --version`;

const SERVER = `Which server:
  --url URL        default: TIDINGS_URL, else where tidings serve listens with the same settings
  --token TOKEN    default: TIDINGS_TOKEN, else, on the server's machine, the token it keeps in its data folder
  --host, --port, --data    as given to tidings serve`;

const POST = `tidings post <channel id> [text]

Publishes a post and prints its id and the page's address. Reads standard input when no text is given, or "-".
It tries again while the server cannot be reached, and never posts twice.

  --html           the text is HTML
  --image FILE     add a picture: PNG, JPEG, GIF, WebP or AVIF
  --alt TEXT       what the picture shows, for those who don't see it
  --hidden         keep it from readers for now

A text that begins with a dash comes after "--": tidings post finals -- --stop press

${SERVER}`;

const PAGES = `tidings pages                                lists the pages
tidings pages create <channel id> [title]    makes one
tidings pages delete <channel id>            deletes one with all its posts, for good

  --json           for machines
  --yes            delete without asking

${SERVER}`;

/** What is otherwise for the relay. */
const RELAY_HELP: Partial<Record<SettingName, string>> = {
  token: "what writing over HTTP and metrics need; none: there are neither",
  origins: "sites whose pages may read; none: any",
};

function settings(names: readonly SettingName[], otherwise: typeof RELAY_HELP = {}): string {
  const width = Math.max(...names.map((name) => flagName(name).length));
  const lines = names.map((name) => {
    const { help, default: fallback } = SETTINGS[name];
    return `  --${flagName(name).padEnd(width)}  ${otherwise[name] ?? help}${fallback ? ` [${fallback}]` : ""}`;
  });
  return `Each setting is a flag, else an environment variable (${variableName("logLevel")}=warn), else stands in
tidings.config.ts, .js or .mjs of the current folder (export default { logLevel: "warn" }).

${lines.join("\n")}`;
}

const TOPICS: Readonly<Record<string, () => string>> = {
  serve: () => `tidings serve

Runs a live blog. ${settings(SERVE_SETTINGS)}`,
  relay: () => `tidings relay

Takes the place of a Wagtail Live site's WebSocket servers: the same paths, the same messages, the same Redis. Readers
of any site may connect, unless --origins names some. Without --token it takes no updates over HTTP, and shows no
metrics. It takes the site's own variables, too:
WAGTAIL_LIVE_REDIS_URL, WAGTAIL_LIVE_SERVER_HOST, WAGTAIL_LIVE_SERVER_PORT.
${settings(RELAY_SETTINGS, RELAY_HELP)}`,
  post: () => POST,
  pages: () => PAGES,
};

/** Help on a command, or on all of them. */
export function helpText(command?: string): string {
  return command !== undefined && Object.hasOwn(TOPICS, command) ? TOPICS[command]!() : MAIN;
}

export async function run(args: readonly string[]): Promise<void> {
  console.log(helpText(args[0]));
}
