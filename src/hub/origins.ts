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

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
