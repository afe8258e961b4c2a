/** What a publisher of the site's own is told, and when: after the log has it, in the page's order. */
import { TidingsError } from "../errors.ts";
import { type Announcement, type Cursor, type Entry, hiddenShell, parseCursor } from "../protocol.ts";
import { within } from "../within.ts";
import type { BaseWebsocketPublisher, Follower, OnError } from "./publisher.ts";

/** What may wait for a publisher that is slower than the posts, in characters of HTML. What is older is left out. */
const OF_A_PAGE = { updates: 1_000, html: 10_000_000 } as const;
const IN_ALL = { updates: 10_000, html: 50_000_000 } as const;
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
 * wait for each other. Of a page at most 1,000 updates (10 MB) wait, of all pages 10,000 (50 MB): then the oldest is left
 * out (of all pages: of each in turn), and that is reported once a page until the publisher has caught up. An update whose change took the log so long that later ones were handed over before
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
  const inAll: Amount = { updates: 0, html: 0 };
  /** Pages of which updates wait; first the one whose turn it is to leave one out. */
  const backlogs = new Set<Page>();
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
      enqueue(page, { entry: announcement, after: changes });
      while (page.waiting.length > 1 && isOver(amountOf(page), OF_A_PAGE)) leaveOut(page);
      while (isOver(inAll, IN_ALL)) leaveOutInTurn();
    }
    goOn(channelId, page);
  }

  /** Puts an update in its place among those of its page that wait. */
  function enqueue(page: Page, update: Waiting): void {
    const { waiting } = page;
    const { entry } = update;
    let place = waiting.length;
    while (place > 0 && isBefore(entry.cursor, waiting[place - 1]!.entry.cursor)) place--;
    waiting.splice(place, 0, update);
    page.html += htmlOf(entry);
    inAll.html += htmlOf(entry);
    inAll.updates++;
    backlogs.add(page);
  }

  function dequeue(page: Page): Waiting {
    const next = page.waiting.shift()!;
    page.html -= htmlOf(next.entry);
    inAll.html -= htmlOf(next.entry);
    inAll.updates--;
    if (page.waiting.length === 0) backlogs.delete(page);
    return next;
  }

  function leaveOutInTurn(): void {
    const [page] = backlogs;
    leaveOut(page!);
    if (!backlogs.delete(page!)) return;
    backlogs.add(page!);
  }

  function leaveOut(page: Page): void {
    dequeue(page);
    if (page.isLate) return;
    page.isLate = true;
    const culprit = page.isBusy ? "the publisher" : "the log's answer to a change";
    const late = `${culprit} is slower than the posts: the oldest updates are left out until it has caught up`;
    report(new TidingsError("too_many", late, { where: "delivery" }), page.channelId);
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
    dequeue(page);
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
      const page = pages.get(channelId) ?? newPage(channelId);
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

interface Amount {
  updates: number;
  /** Characters. */
  html: number;
}

const isOver = ({ updates, html }: Amount, most: Readonly<Amount>): boolean =>
  updates > most.updates || html > most.html;

const amountOf = ({ waiting, html }: Page): Amount => ({ updates: waiting.length, html });

interface Page {
  readonly channelId: string;
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

const newPage = (channelId: string): Page => ({
  channelId,
  begun: new Set(),
  overdue: new Set(),
  waiting: [],
  html: 0,
  isBusy: false,
  handedOver: "",
  isLate: false,
});

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
