/**
 * Players of other sites. A known provider's URL becomes a sandboxed frame that loads when it comes into
 * view; nothing is fetched on the server, and no provider's script runs in the page. Any other URL is no
 * embed: it is shown as a link.
 */
import { type Html, html } from "../html.ts";
import { safeUrl } from "./urls.ts";

/** How a player fills its room. */
type Shape = "video" | "tall" | "audio" | "chart";

interface Provider {
  readonly name: string;
  readonly shape: Shape;
  /** Host names of the URLs that people copy, and of the frame itself; a leading `www.`, `m.` or `music.` is ignored. */
  readonly hosts: readonly string[];
  /** The origin of the frame: goes into the page's `frame-src`. */
  readonly origin: string;
  /** The frame's path and query for a URL of one of the hosts; `null` when it names nothing playable. */
  readonly player: (url: URL) => string | null;
}

/** Width and height in pixels, for pages without our style sheet. */
const SIZES: Readonly<Record<Shape, readonly [width: number, height: number]>> = {
  video: [640, 360],
  tall: [340, 605],
  audio: [640, 166],
  chart: [640, 450],
};

const PROVIDERS: readonly Provider[] = [
  {
    name: "YouTube",
    shape: "video",
    hosts: ["youtube.com", "youtu.be", "youtube-nocookie.com"],
    origin: "https://www.youtube-nocookie.com",
    player(url) {
      const id =
        url.hostname === "youtu.be"
          ? match(url, /^\/([\w-]{11})\/?$/)
          : url.pathname === "/watch"
            ? query(url, "v", /^[\w-]{11}$/)
            : match(url, /^\/(?:embed|shorts|live|v)\/([\w-]{11})\/?$/);
      if (id === null) return null;
      const start = seconds(url.searchParams.get("start") ?? url.searchParams.get("t"));
      return `/embed/${id}${start > 0 ? `?start=${start}` : ""}`;
    },
  },
  {
    name: "Vimeo",
    shape: "video",
    hosts: ["vimeo.com", "player.vimeo.com"],
    origin: "https://player.vimeo.com",
    player(url) {
      const [, id, key] = /^\/(?:video\/)?(\d{1,12})(?:\/([\da-f]{6,20}))?\/?$/.exec(url.pathname) ?? [];
      if (id === undefined) return null;
      const hash = key ?? query(url, "h", /^[\da-f]{6,20}$/);
      return `/video/${id}?dnt=1${hash === null ? "" : `&h=${hash}`}`;
    },
  },
  {
    name: "Dailymotion",
    shape: "video",
    hosts: ["dailymotion.com", "dai.ly", "geo.dailymotion.com"],
    origin: "https://geo.dailymotion.com",
    player(url) {
      const id =
        query(url, "video", /^[a-z\d]{4,12}$/i) ??
        match(
          url,
          url.hostname === "dai.ly" ? /^\/([a-z\d]{4,12})$/i : /^\/(?:embed\/)?video\/([a-z\d]{4,12})/i,
        );
      return id && `/player.html?video=${id}`;
    },
  },
  {
    name: "TikTok",
    shape: "tall",
    hosts: ["tiktok.com"],
    origin: "https://www.tiktok.com",
    player(url) {
      const id = match(url, /^\/(?:@[\w.-]+\/video|player\/v1|embed\/v2)\/(\d{8,25})\/?$/);
      return id && `/player/v1/${id}`;
    },
  },
  {
    name: "Spotify",
    shape: "audio",
    hosts: ["open.spotify.com"],
    origin: "https://open.spotify.com",
    player(url) {
      const path = match(
        url,
        /^\/(?:intl-[\w-]+\/)?(?:embed\/)?((?:track|album|playlist|episode|show|artist)\/[\da-z]{22})\/?$/i,
      );
      return path && `/embed/${path}`;
    },
  },
  {
    name: "SoundCloud",
    shape: "audio",
    hosts: ["soundcloud.com", "w.soundcloud.com"],
    origin: "https://w.soundcloud.com",
    player(url) {
      const track = url.hostname === "w.soundcloud.com" ? URL.parse(url.searchParams.get("url") ?? "") : url;
      if (track === null || !["soundcloud.com", "api.soundcloud.com"].includes(bareHost(track))) return null;
      if (!/^\/[\w:%.-]+\/[\w:%./-]+$/.test(track.pathname)) return null;
      return `/player/?url=${encodeURIComponent(`https://${bareHost(track)}${track.pathname}`)}`;
    },
  },
  {
    name: "Datawrapper",
    shape: "chart",
    hosts: ["datawrapper.dwcdn.net"],
    origin: "https://datawrapper.dwcdn.net",
    player(url) {
      const chart = match(url, /^\/([a-z\d]{5}(?:\/\d{1,5})?)\/?$/i);
      return chart && `/${chart}/`;
    },
  },
  {
    name: "Flourish",
    shape: "chart",
    hosts: ["flo.uri.sh", "public.flourish.studio"],
    origin: "https://flo.uri.sh",
    player(url) {
      const path = match(url, /^\/((?:visualisation|story)\/\d{1,12})(?:\/embed)?\/?$/);
      return path && `/${path}/embed`;
    },
  },
  {
    name: "Google Maps",
    shape: "chart",
    hosts: ["google.com"],
    origin: "https://www.google.com",
    player(url) {
      const place = url.pathname === "/maps/embed" ? query(url, "pb", /^[\w!.:%+ -]{1,2000}$/) : null;
      return place && `/maps/embed?pb=${encodeURIComponent(place)}`;
    },
  },
];

/** The origins that players are framed from, for a Content-Security-Policy's `frame-src`. */
export const FRAME_ORIGINS: readonly string[] = PROVIDERS.map((provider) => provider.origin);

/**
 * The sandboxed frame for a URL of a known provider, or `null`. The frame's own URL gives the same frame again.
 *
 * @example
 * String(embedFrame("https://youtu.be/dQw4w9WgXcQ"));
 * // <iframe class="live-embed live-embed-video" src="https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ" …></iframe>
 */
export function embedFrame(text: string): Html | null {
  const url = URL.parse(safeUrl(text) ?? "");
  if (url === null) return null;
  const provider = PROVIDERS.find(({ hosts }) => hosts.includes(bareHost(url)));
  const path = provider?.player(url) ?? null;
  if (provider === undefined || path === null) return null;
  const [width, height] = SIZES[provider.shape];
  // Its own origin is needed for players to work at all, and is never ours. The referrer is what YouTube asks for.
  return html`<iframe class="live-embed live-embed-${provider.shape}" src="${provider.origin}${path}" title="${provider.name}" width="${width}" height="${height}" loading="lazy" sandbox="allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox allow-presentation" allow="fullscreen; encrypted-media; picture-in-picture" referrerpolicy="strict-origin-when-cross-origin"></iframe>`;
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^(?:www|m|music)\./, "");
}

function match(url: URL, path: RegExp): string | null {
  return path.exec(url.pathname)?.[1] ?? null;
}

function query(url: URL, name: string, form: RegExp): string | null {
  const value = url.searchParams.get(name);
  return value !== null && form.test(value) ? value : null;
}

/** `90`, `90s` and `1m30s` are all 90; anything else is 0. */
function seconds(text: string | null): number {
  const [, hours, minutes, rest] = /^(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s?)?$/.exec(text ?? "") ?? [];
  return Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(rest ?? 0);
}
