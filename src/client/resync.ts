import { backoff } from "./backoff.ts";

const TIMEOUT_MS = 30_000;

/**
 * Fetches the page's own HTML until it holds a copy of `list` that `isFresh`. Waits up to 2 s first, so that
 * readers reset together do not ask together; again, with back-off, after a stale copy or an error.
 *
 * @param url Gives the page's URL; `?at=<at>` is added to it, so that a cache cannot answer with what it had before.
 * @returns The copy; `null` when the page is gone (404, 410). Never settles once `signal` is aborted.
 */
export function fetchCopy(
  list: HTMLElement,
  url: () => string,
  at: string,
  isFresh: (copy: HTMLElement) => boolean,
  signal: AbortSignal,
): Promise<HTMLElement | null> {
  return new Promise((resolve) => {
    let attempts = 0;
    const attempt = async () => {
      if (signal.aborted) return;
      try {
        const address = new URL(url(), location.href);
        address.searchParams.set("at", at);
        const response = await fetch(address, {
          signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
          cache: attempts ? "no-cache" : "default",
        });
        if (response.status === 404 || response.status === 410) return resolve(null);
        if (response.ok) {
          const page = new DOMParser().parseFromString(await response.text(), "text/html");
          const copy = copyIn(page, list);
          if (copy && isFresh(copy)) return resolve(copy);
        }
      } catch {
        // Cut off or aborted: as good as a stale copy.
      }
      setTimeout(attempt, backoff(++attempts));
    };
    setTimeout(attempt, Math.random() * 2000);
  });
}

/** The list of the same channel, for a page may have several, and one that is embedded has lost its id. */
function copyIn(page: Document, { id, dataset }: HTMLElement): HTMLElement | null {
  const ofChannel = [...page.querySelectorAll<HTMLElement>("[data-channel-id]")].filter(
    (element) => element.dataset.channelId === dataset.channelId,
  );
  return (
    ofChannel.find((element) => element.id === id) ?? ofChannel[0] ?? page.getElementById(id || "live-posts")
  );
}
