/**
 * Whose pages may read here: `"own"` (pages of the host that was asked), `"*"` (anybody's), or an origin such
 * as `"https://news.example"`.
 */
export type Origins = readonly string[];

/**
 * Whether a request with this `Origin` header may read. One without comes from no browser page of another
 * site, and is let in.
 *
 * @example
 * isAllowedOrigin(["own"], "https://news.example", "news.example"); // true
 */
export function isAllowedOrigin(
  origins: Origins,
  origin: string | undefined,
  host: string | undefined,
): boolean {
  if (origin === undefined || origins.includes("*")) return true;
  if (origins.includes(origin)) return true;
  return origins.includes("own") && host !== undefined && hostOf(origin) === host.toLowerCase();
}

/**
 * What `Access-Control-Allow-Origin` says to a request with this `Origin` header; `null`: nothing, for that
 * origin may not read. An answer that depends on the origin also needs `Vary: Origin`.
 *
 * @example
 * allowedOrigin(["own", "https://a.example"], "https://a.example", "live.example"); // "https://a.example"
 * allowedOrigin(["*"], undefined, "live.example"); // "*"
 */
export function allowedOrigin(
  origins: Origins,
  origin: string | undefined,
  host: string | undefined,
): string | null {
  if (origins.includes("*")) return "*";
  return origin !== undefined && isAllowedOrigin(origins, origin, host) ? origin : null;
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
