/**
 * The guide's templates in Nunjucks: its tags and includes, so that they run nearly word for word.
 *
 * Nunjucks itself is the caller's: nothing here imports it, not even its types.
 */
import { TidingsError } from "../errors.ts";
import type { PageView } from "../pages/store.ts";
import { livePosts } from "./posts.ts";
import { type PublisherSettings, publisherTags, serverHost, serverPort } from "./publisher.ts";

/** What is used of a Nunjucks `Environment`. */
export interface NunjucksEnvironment {
  addExtension(name: string, extension: unknown): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: what a global takes is up to the template
  addGlobal(name: string, value: (...args: any[]) => unknown): unknown;
  getFilter(name: "safe"): (text: string) => string;
}

export interface NunjucksSettings extends Omit<PublisherSettings, "channelId"> {
  /** What `{% static %}` puts before the paths of your own files. Default: `/static/`. */
  readonly staticUrl?: string | undefined;
}

const LIVE_POSTS = "wagtail_live/live_posts.html";
const PUBLISHERS: readonly string[] = [
  "wagtail_live/websocket/websockets.html",
  "wagtail_live/websocket/starlette.html",
  "wagtail_live/websocket/django_channels.html",
];
const CLIENT = "wagtail_live/js/websocket/websocket.js";

/**
 * Teaches a Nunjucks environment the guide's tags (`load`, `static`, `get_server_host`, `get_server_port`,
 * `use_secure_ws_connection`) and includes. Render with the page's view as `page` (or, as in Wagtail, `self`).
 * A template of yours with the name of an include comes before ours.
 *
 * @example
 * const env = addTidings(new nunjucks.Environment(loader), { serverHost: "localhost", serverPort: 8765 });
 * env.render("live.html", { page: await store.viewPage("finals") });
 * // live.html: {% include "wagtail_live/live_posts.html" %}
 * //            {% include "wagtail_live/websocket/websockets.html" %}
 */
export function addTidings<E extends NunjucksEnvironment>(env: E, settings: NunjucksSettings): E {
  const { assetsUrl = "/assets", staticUrl = "/static/", useSecureWsConnection = false } = settings;
  const safe = (text: string): string => env.getFilter("safe")(text);
  env.addExtension(
    "tidings",
    tagExtension({
      load: () => "",
      static: (path) =>
        path === CLIENT ? `${assetsUrl}/tidings.js` : `${staticUrl.replace(/\/$/, "")}/${path}`,
      get_server_host: () => serverHost(settings),
      get_server_port: () => serverPort(settings),
      use_secure_ws_connection: () => String(useSecureWsConnection),
    }),
  );
  env.addGlobal("tidings_live_posts", (view: PageView | undefined) => {
    if (view?.posts) return safe(livePosts(view));
    throw new TidingsError("invalid", `${LIVE_POSTS} needs a page's view as "page"`, { field: "page" });
  });
  env.addGlobal("tidings_publisher_tags", () => safe(publisherTags(settings)));
  // Last, so that the site's own templates are found first. `cache` is what Nunjucks gives loaders it is made with.
  (env as unknown as { loaders: object[] }).loaders.push({ ...includes, cache: {} });
  return env;
}

const includes = {
  getSource(name: string) {
    const src =
      name === LIVE_POSTS
        ? "{{ tidings_live_posts(page or self) }}"
        : PUBLISHERS.includes(name)
          ? "{{ tidings_publisher_tags() }}"
          : null;
    return src === null ? null : { src, path: name, noCache: false };
  },
};

interface Extension {
  readonly tags: readonly string[];
  parse(parser: Parser, nodes: Nodes): unknown;
}

/** What is used of Nunjucks' parser. */
interface Parser {
  nextToken(): { readonly value: string };
  peekToken(): { readonly type: string };
  parseSignature(tolerant: null, noParens: true): unknown;
  advanceAfterBlockEnd(name: string): void;
}

interface Nodes {
  readonly CallExtension: new (
    extension: Extension,
    method: string,
    args: unknown,
    bodies: readonly never[],
  ) => unknown;
}

/** An extension whose tags take the arguments after their name and leave a text. */
function tagExtension(tags: Readonly<Record<string, (argument: string) => string>>): Extension {
  const methods = Object.entries(tags).map(([name, tag]) => [
    name,
    (_context: unknown, argument: string) => tag(argument),
  ]);
  const extension: Extension = {
    ...Object.fromEntries(methods),
    tags: Object.keys(tags),
    parse(parser: Parser, nodes: Nodes): unknown {
      const { value: name } = parser.nextToken();
      // `load` names Python modules, which are no expressions.
      while (name === "load" && parser.peekToken().type !== "block-end") parser.nextToken();
      const args = parser.parseSignature(null, true);
      parser.advanceAfterBlockEnd(name);
      return new nodes.CallExtension(extension, name, args, []);
    },
  };
  return extension;
}
