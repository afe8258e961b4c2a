/** A reader's page in a real Chromium: what stands in its document, looked at after every change. */
import type { Browser, BrowserContext, Page as Tab } from "playwright-core";
import type { Sighting, Standing, Step, Trace } from "./judge.ts";

export interface BrowserReader {
  readonly name: string;
  /** Times that it was told to fetch its page anew, and began to. */
  readonly resets: number;
  trace(): Promise<Trace>;
  end(): Promise<void>;
}

/** What the script below keeps in the page. */
interface Seen {
  readonly steps: Step[];
  readonly doubled: string[];
  readonly misplaced: string[];
  readonly final: Standing[];
}

/** @param url of the page, as readers know it */
export async function openBrowserReader(browser: Browser, name: string, url: string): Promise<BrowserReader> {
  const context: BrowserContext = await browser.newContext();
  const tab = await openTab(context, url).catch(async (error) => {
    await context.close();
    throw error;
  });
  /** The heads that it was told of: it may ask more than once for each. */
  const heads = new Set<string>();
  tab.on("request", (request) => {
    const head = new URL(request.url()).searchParams.get("at");
    if (head !== null) heads.add(head);
  });
  return {
    name,
    get resets() {
      return heads.size;
    },
    async trace() {
      const seen = await tab.evaluate(() => (globalThis as unknown as { seen(): Seen }).seen());
      return { reader: name, ...seen, away: [] };
    },
    end: () => context.close(),
  };
}

async function openTab(context: BrowserContext, url: string): Promise<Tab> {
  const tab = await context.newPage();
  await tab.addInitScript(watch);
  for (let tries = 1; ; tries++) {
    try {
      await tab.goto(url, { waitUntil: "load", timeout: 15_000 });
      return tab;
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
}

/** Runs in the page, before its own scripts. */
function watch(): void {
  const steps: Step[] = [];
  const doubled: string[] = [];
  const misplaced: string[] = [];
  let known = new Map<string, Sighting["seen"]>();
  let shown: Standing[] = [];
  let number: string | undefined;

  function look(): void {
    const list = document.querySelector<HTMLElement>("#live-posts");
    if (!list) return;
    const seq = list.dataset.cursor?.split(".").at(-1);
    const sightings: Sighting[] = [];
    const now = new Map<string, Sighting["seen"]>();
    let above = Number.POSITIVE_INFINITY;
    shown = [];
    for (const post of list.querySelectorAll<HTMLElement>("[data-post-id]")) {
      const id = post.dataset.postId!;
      const wrapper = post.closest<HTMLElement>(".live-post-wrapper")!;
      const at = Number(wrapper.dataset.at);
      const mark = /⟦(\d+)⟧/.exec(post.textContent ?? "")?.[1];
      const seen = mark !== undefined ? Number(mark) : wrapper.hidden ? "hidden" : "blank";
      if (now.has(id)) doubled.push(id);
      if (at >= above) misplaced.push(id);
      above = at;
      now.set(id, seen);
      if (typeof seen === "number") shown.push([id, seen]);
      if (known.get(id) !== seen) sightings.push({ id, seen, at });
    }
    for (const id of known.keys()) if (!now.has(id)) sightings.push({ id, seen: "removed" });
    known = now;
    if (sightings.length > 0 || seq !== number || steps.length === 0) {
      steps.push({ time: Date.now(), seq: seq === undefined ? null : Number(seq), sightings });
    }
    number = seq;
  }

  (globalThis as unknown as { seen(): Seen }).seen = () => {
    look();
    return { steps, doubled, misplaced, final: shown };
  };
  document.addEventListener("DOMContentLoaded", () => {
    look();
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true });
  });
}
