/** What a publisher of the site's own is told, and when: after the log has it, in the page's order. */
import { TidingsError } from "../errors.ts";
import { type Announcement, type Cursor, type Entry, hiddenShell, parseCursor } from "../protocol.ts";
import { within } from "../within.ts";
import type { BaseWebsocketPublisher, Follower, OnError } from "./publisher.ts";

/** Of one page, waiting for a publisher that is slower than the posts. What is older is left out. */
const MAX_WAITING = 1_000;
/** The same in characters of HTML. */
const MAX_WAITING_HTML = 10_000_000;
const CLOSE_MS = 1_000;

/** A publisher of the site's own; `close` is called at the end, if it is there. */
export type OwnPublisher = Pick<BaseWebsocketPublisher, "publish"> & { close?(): unknown };

export interface DeliveryOptions {
  readonly publisher: OwnPublisher;
  /**
   * Told, with stage `publish`, of what the publisher throws, of updates that were left out, and of changes that are
   * waited for no longer. Default: `console.error`.
   */
  readonly onError?: OnError;
  /**
   * How long one `publish`, or the log's answer to one change, may take before its page goes on without it, in
   * milliseconds. Default 30 s.
   */
  readonly patienceMs?: number;
}

/** Hands changes to a publisher of the site's own. */
export interface Delivery extends Follower {
  /**
   * Hands over all that waits, for at most `drainMs` (what is left then is reported), then closes the publisher, and
   * resolves. Called again it is the same end.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/**
 * Calls `publisher.publish` with each update of a page, one after the other, in the order of its history; pages do not
 * wait for each other. Of a page at most 1,000 updates (10 MB) wait: then the oldest is left out, and that is reported once
 * until the publisher has caught up. An update whose change took the log so long that later ones were handed over before
 * it is left out, too. The log has them all.
 *
 * @example
 * const delivery = createDelivery({ publisher: new MyWebsocketPublisher() });
 * const publisher = createPublisher({ log, bus, delivery });
 */
export function createDelivery(options: DeliveryOptions): Delivery {
  const { publisher, patienceMs = 30_000 } = options;
  const { onError = (error, context) => console.error(error, context) } = options;
  const pages = new Map<string, Page>();
  const ended = Promise.withResolvers<void>();
  let closing: Promise<void> | undefined;
  let isClosed = false;
  let changes = 0;

  const report = (error: unknown, channel?: string) =>
    onError(error, { stage: "publish", ...(channel !== undefined && { channel }) });

  function settled(channelId: string, page: Page, change: number, announcement?: Announcement): void {
    page.begun.delete(change);
    // What came back after it was given up would undo what was handed over in its stead.
    const isOvertaken =
      page.overdue.delete(change) && announcement && isBefore(announcement.cursor, page.handedOver);
    if (announcement && "renders" in announcement && !isOvertaken && !isClosed) {
      if (enqueue(page, announcement, changes) && !page.isLate) {
        page.isLate = true;
        const culprit = page.isBusy ? "the publisher" : "the log's answer to a change";
        const late = `${culprit} is slower than the posts: the oldest updates are left out until it has caught up`;
        report(new TidingsError("too_many", late, { where: "delivery" }), channelId);
      }
    }
    goOn(channelId, page);
  }

  /** A change has had no answer for long: what comes after it waits no more. */
  function giveUp(channelId: string, page: Page, change: number): void {
    if (!page.begun.delete(change)) return;
    page.overdue.add(change);
    if (isClosed) return;
    const slow = `the log has not answered a change for ${patienceMs} ms: going on without it`;
    report(new TidingsError("unavailable", slow, { where: "delivery" }), channelId);
    goOn(channelId, page);
  }

  /** Hands over the next update, if its turn has come. */
  function goOn(channelId: string, page: Page): void {
    if (page.isBusy) return;
    const next = page.waiting[0];
    if (!next) {
      page.isLate = false;
      if (page.begun.size + page.overdue.size === 0) pages.delete(channelId);
      if (closing && pages.size === 0) ended.resolve();
      return;
    }
    // A change that began before this one was made may come before it, and its answer still be on the way.
    const [oldest = Number.POSITIVE_INFINITY] = page.begun;
    if (oldest <= next.after) return;
    page.waiting.shift();
    page.html -= htmlOf(next.entry);
    page.isBusy = true;
    page.handedOver = next.entry.cursor;
    handOver(channelId, next.entry).then(() => {
      page.isBusy = false;
      goOn(channelId, page);
    });
  }

  async function handOver(channelId: string, { renders, removals, cursor }: Entry): Promise<void> {
    try {
      // Own properties, whatever the id: `__proto__` is one.
      const shown = Object.fromEntries(
        Array.from(renders, ([id, render]) => [
          id,
          render.show ? render : { ...render, content: hiddenShell(id) },
        ]),
      );
      await inTime("publish", patienceMs, () => publisher.publish(channelId, shown, removals, { cursor }));
    } catch (error) {
      if (!isClosed) report(error, channelId);
    }
  }

  async function end(drainMs: number): Promise<void> {
    if (pages.size > 0) await within(drainMs, ended.promise);
    isClosed = true;
    const left = [...pages.values()].reduce(
      (sum, page) => sum + page.waiting.length + Number(page.isBusy),
      0,
    );
    if (left > 0) {
      const what = `closed before the publisher had taken ${left === 1 ? "one update" : `${left} updates`}`;
      report(new TidingsError("closed", what, { where: "delivery" }));
    }
    for (const page of pages.values()) page.waiting.length = 0;
    await inTime("close", CLOSE_MS, () => publisher.close?.()).catch((error) => report(error));
  }

  return {
    follow(channelId, change) {
      const number = ++changes;
      const page = pages.get(channelId) ?? newPage();
      pages.set(channelId, page);
      page.begun.add(number);
      const answered = change.then(
        (announcement) => settled(channelId, page, number, announcement),
        () => settled(channelId, page, number),
      );
      void within(
        patienceMs,
        answered.then(() => true),
      ).then((isAnswered) => isAnswered || giveUp(channelId, page, number));
    },

    close({ drainMs = 3_000 } = {}) {
      closing ??= end(drainMs);
      return closing;
    },
  };
}

interface Page {
  /** Numbers of changes that were begun and have no answer yet, oldest first. */
  readonly begun: Set<number>;
  /** Those of them that are waited for no longer. */
  readonly overdue: Set<number>;
  /** In the order of the page's history. */
  readonly waiting: Waiting[];
  /** Characters of HTML in `waiting`. */
  html: number;
  isBusy: boolean;
  /** The cursor of the update that was handed over last; empty at first. */
  handedOver: Cursor;
  /** Updates are being left out, and that was reported. */
  isLate: boolean;
}

interface Waiting {
  readonly entry: Entry;
  /** The last change that had begun when this one was made. */
  readonly after: number;
}

const newPage = (): Page => ({
  begun: new Set(),
  overdue: new Set(),
  waiting: [],
  html: 0,
  isBusy: false,
  handedOver: "",
  isLate: false,
});

/** Puts an update in its place among those that wait. Answers whether others had to make room. */
function enqueue(page: Page, entry: Entry, after: number): boolean {
  const { waiting } = page;
  let place = waiting.length;
  while (place > 0 && isBefore(entry.cursor, waiting[place - 1]!.entry.cursor)) place--;
  waiting.splice(place, 0, { entry, after });
  page.html += htmlOf(entry);
  const before = waiting.length;
  while (waiting.length > 1 && (waiting.length > MAX_WAITING || page.html > MAX_WAITING_HTML)) {
    page.html -= htmlOf(waiting.shift()!.entry);
  }
  return waiting.length < before;
}

/** Cursors of two epochs do not compare: the answers came in their order. */
function isBefore(a: Cursor, b: Cursor): boolean {
  const [left, right] = [parseCursor(a), parseCursor(b)];
  return left !== null && right !== null && left.epoch === right.epoch && left.seq < right.seq;
}

function htmlOf({ renders }: Entry): number {
  let characters = 0;
  for (const { content } of renders.values()) characters += content.length;
  return characters;
}

/** Waits for a method of the publisher; rejects with what it throws, or when it takes longer. */
async function inTime(method: string, ms: number, call: () => unknown): Promise<void> {
  const hasEnded = (async () => {
    await call();
    return true;
  })();
  if (await within(ms, hasEnded)) return;
  throw new TidingsError("unavailable", `${method}() has not ended: going on without it`, {
    where: "delivery",
  });
}
