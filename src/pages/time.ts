import { type Html, html } from "../html.ts";

const day = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", dateStyle: "medium" });
const minute = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", timeStyle: "short" });

/**
 * A `<time>` in UTC, for every reader has the same HTML; a script in the page may make it local.
 *
 * @param at Milliseconds since 1970 (UTC).
 * @example
 * String(time(Date.UTC(2026, 10, 24, 14, 5)));
 * // <time datetime="2026-11-24T14:05:00.000Z">24 Nov 2026, 14:05 UTC</time>
 */
export function time(at: number, className?: string): Html {
  const named = className !== undefined && html` class="${className}"`;
  return html`<time${named} datetime="${new Date(at).toISOString()}">${day.format(at)}, ${minute.format(at)} UTC</time>`;
}
