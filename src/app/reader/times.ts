/**
 * Times as the reader's clock has them, in place of UTC. They are shown from a shadow tree: the page's own
 * HTML stays what the server sent, so the client still sees at once which posts differ.
 */
export interface LocalTimes {
  /** Makes the times below `root` local, and keeps them so. */
  show(root: ParentNode): void;
}

const HOUR = 3_600_000;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dateOfYear = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export function localTimes(): LocalTimes {
  // The hosts in the page, and what keeps them up to date; a host that left the page is forgotten.
  const shown = new Map<Element, () => void>();
  setInterval(() => {
    for (const [host, update] of shown) {
      if (host.isConnected) update();
      else shown.delete(host);
    }
  }, 30_000);

  return {
    show(root) {
      for (const host of root.querySelectorAll(".live-post-meta, .dateline")) {
        if (host.shadowRoot) continue;
        const update = shadow(host);
        update();
        shown.set(host, update);
      }
    },
  };
}

/** A copy of the host's content in a shadow tree whose times are local; its parts are named for the style sheet. */
function shadow(host: Element): () => void {
  const root = host.attachShadow({ mode: "open" });
  root.append(...[...host.childNodes].map((node) => node.cloneNode(true)));
  for (const edited of root.querySelectorAll(".live-post-edited")) edited.setAttribute("part", "edited");
  const times = [...root.querySelectorAll("time")].map((time) => ({ time, at: Date.parse(time.dateTime) }));
  for (const { time, at } of times) {
    time.title = whole.format(at);
    time.setAttribute("part", "time");
  }
  return () => {
    for (const { time, at } of times) time.textContent = localTime(at, Date.now());
  };
}

/**
 * How a moment is best told now: `just now`, `5 min ago`, `14:05`, `23 Nov, 14:05`, `23 Nov 2025, 14:05`.
 *
 * @param at Milliseconds since 1970, as is `now`.
 */
export function localTime(at: number, now: number): string {
  const age = now - at;
  if (age >= -60_000 && age < 60_000) return "just now";
  if (age > 0 && age < HOUR) return `${Math.floor(age / 60_000)} min ago`;
  const [then, today] = [new Date(at), new Date(now)];
  if (then.toDateString() === today.toDateString()) return clock.format(then);
  const format = then.getFullYear() === today.getFullYear() ? date : dateOfYear;
  return `${format.format(then)}, ${clock.format(then)}`;
}
