import { type Cursor, type Frame, parseCursor } from "../protocol.ts";
import { LivePosts, type LiveUpdate } from "./posts.ts";
import { fetchCopy } from "./resync.ts";

/** How many frames may wait for the page's own HTML, before all are given up and the page joins anew; at most twice as many. */
const MAX_BUFFER = 1_000;

/** What a {@link LivePage} tells its owner. */
export interface PageEvents {
  onUpdate(update: LiveUpdate): void;
  /** The page is up to date again after a resync. */
  onSynced(): void;
  /** The server says that there is no such page any more. */
  onGone(): void;
  /** A change could not be applied, and the cursor stayed before it. */
  onFailed(error: unknown): void;
  /** Whether the page's cursor still holds is for the server to say: join anew with it. */
  onDoubt(): void;
}

/** The page's own HTML being fetched: what comes meanwhile waits in `buffer`. */
interface Resync {
  /** The reader's cursor did not hold; else it had none to join with. */
  readonly isReset: boolean;
  readonly buffer: Frame[];
  readonly abort: AbortController;
}

/**
 * The open copy of a page: shows the frames of the connection held, each exactly once (PROTOCOL.md, rules 1, 2
 * and 4). Its cursor lives in the HTML, so that the HTML, saved as it stands, is a valid old copy.
 */
export class LivePage {
  readonly #list: HTMLElement;
  readonly #posts: LivePosts;
  readonly #url: () => string;
  readonly #events: PageEvents;
  #resync: Resync | undefined;
  /** The number of the cursor that the connection held was opened from, or of the last that it has brought. */
  #told: number | undefined;

  /** @param url Gives the URL of the page's own HTML, for a resync. */
  constructor(list: HTMLElement, url: () => string, events: PageEvents) {
    this.#list = list;
    this.#posts = new LivePosts(list);
    this.#url = url;
    this.#events = events;
  }

  /** Where the page is; `null`: live only, until a frame brings a cursor. */
  get cursor(): Cursor | null {
    return this.#list.dataset.cursor || null;
  }

  get isResyncing(): boolean {
    return !!this.#resync;
  }

  /** Takes a frame of the connection held; if not `true`, it could not be applied. */
  take(frame: Frame): boolean | undefined {
    const cursor = parseCursor(frame.cursor);
    const own = parseCursor(this.cursor);
    const resync = this.#resync;
    // The page's HTML was ahead of this connection, whose word on where it is need not be about the page.
    const isAhead = own && this.#told! < own.seq;
    if (frame.reset) {
      if (!cursor) return true;
      if (isAhead && !resync) return void this.#events.onDoubt();
      this.resync(frame.cursor!);
      this.#told = cursor.seq;
      return true;
    }
    if (resync) {
      // Readers to whom the HTML does not come must not all give up on the same frame.
      if (resync.buffer.push(frame) > MAX_BUFFER * (1 + Math.random())) return void this.#events.onDoubt();
      // Else nothing is wrong with what is new, and a page that cannot be fetched must not go deaf. It moves no cursor.
      if (resync.isReset) return true;
    } else if (cursor) {
      this.#told = cursor.seq;
      if (own) {
        const isOld = cursor.epoch === own.epoch && cursor.seq <= own.seq;
        const isHeartbeat = !frame.removals[0] && !Object.keys(frame.renders)[0];
        if (isAhead && (isOld ? isHeartbeat && cursor.seq < own.seq : cursor.epoch !== own.epoch)) {
          return void this.#events.onDoubt();
        }
        if (isOld) return true;
      }
    }
    return this.#change(
      () => this.#posts.apply(frame.renders, frame.removals),
      !resync && cursor && frame.cursor,
    );
  }

  /** A connection was opened, from this cursor. */
  join(cursor: Cursor | null): void {
    this.#told = parseCursor(cursor)?.seq;
  }

  /** The connection was left: its frames, and a resync that needs those to come, are void. */
  leave(): void {
    this.#resync?.abort.abort();
    this.#resync = this.#told = undefined;
  }

  /**
   * Makes the posts equal to those of the page's own HTML, and then applies what the connection held has brought meanwhile
   * (rule 4).
   *
   * @param head The cursor of a `reset`; without one, the reader has come back without a cursor.
   * @param rejoins Without a head: whether a copy's cursor can be joined with.
   */
  resync(head?: Cursor, rejoins = false): void {
    this.leave();
    const reset = parseCursor(head);
    const resync: Resync = { isReset: !!reset, buffer: [], abort: new AbortController() };
    this.#resync = resync;
    const isOf = (name: string) => (frame: Frame) => parseCursor(frame.cursor)?.epoch === name;

    const isFresh = (copy: HTMLElement): boolean => {
      const { cursor } = copy.dataset;
      const parts = parseCursor(cursor);
      if (!parts) return !cursor;
      if (!reset) return true;
      return parts.epoch === reset.epoch ? parts.seq >= reset.seq : resync.buffer.some(isOf(parts.epoch));
    };

    const at = head ?? `${Date.now()}`;
    fetchCopy(this.#list, this.#url, at, isFresh, resync.abort.signal).then((copy) => {
      if (this.#resync !== resync) return;
      if (!copy) return this.#events.onGone();
      const cursor = copy.dataset.cursor || head;
      const parts = parseCursor(cursor);
      // What the buffer holds of epochs before the copy's is in the copy, and must not come after it.
      const start = parts ? resync.buffer.findIndex(isOf(parts.epoch)) : 0;
      this.#resync = undefined;
      if (!this.#change(() => this.#posts.reconcile(copy), cursor)) return;
      if (!reset && parts && rejoins) this.#events.onDoubt();
      else if (resync.buffer.slice(Math.max(0, start)).every((frame) => this.take(frame)))
        this.#events.onSynced();
    });
  }

  /** The cursor moves after the change, never before: a change that fails is asked for again. */
  #change(change: () => LiveUpdate, cursor?: Cursor | null | false): boolean {
    let update: LiveUpdate;
    try {
      update = change();
    } catch (error) {
      this.#events.onFailed(error);
      return false;
    }
    if (cursor) this.#list.dataset.cursor = cursor;
    if (Object.values(update).some(({ length }) => length)) this.#events.onUpdate(update);
    return true;
  }
}
