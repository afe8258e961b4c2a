/**
 * What is, and was, on the page, by the model's own account, and the judge of what readers show. Shares no code with
 * `src/`.
 */

/** A post as a reader sees it. */
export interface Seen {
  readonly id: string;
  readonly at: number;
  readonly show: boolean;
  /** What the newsroom wrote: the mark in its HTML. Empty when it is hidden. */
  readonly mark: string;
}

/** The mark of a post's text. It outlives whatever HTML is put around it. */
export const markOf = (html: string): string => /⟦\d+⟧/.exec(html)?.[0] ?? "";

interface Post {
  readonly mark: string;
  readonly show: boolean;
}

/** What broke the promise. */
export class Broken extends Error {}

const ABSENT = "absent";
const HIDDEN = "hidden";

export class Truth {
  /** Oldest place first. */
  #posts = new Map<string, Post>();
  /** All that each post ever was, in order. */
  readonly #lives = new Map<string, string[]>();
  /** What the page showed at each cursor. */
  readonly #atCursor = new Map<string, string>();
  #kept: ReadonlyMap<string, Post> | undefined;
  #shown = "";
  readonly #moved: (from: string, to: string) => void;

  /** @param moved Told of each change, in order. */
  constructor(moved: (from: string, to: string) => void = () => {}) {
    this.#moved = moved;
  }

  get(id: string): Post | undefined {
    return this.#posts.get(id);
  }

  /** A post is written, shown or hidden. A new one, or one that had been removed, goes to the newest place. */
  put(id: string, post: Post): void {
    this.#posts.set(id, post);
    this.#live(id, stateOf(post));
    this.#move();
  }

  remove(id: string): void {
    if (!this.#posts.delete(id)) return;
    this.#live(id, ABSENT);
    this.#move();
  }

  /** That is what `cursor` stands for. One that `isNew` must never have been given out before. */
  name(cursor: string, isNew: boolean): void {
    if (!this.#atCursor.has(cursor)) this.#atCursor.set(cursor, this.shown());
    else if (isNew) throw new Broken(`the log gave ${cursor} out twice`);
  }

  clear(): void {
    for (const id of [...this.#posts.keys()]) this.remove(id);
  }

  backUp(): void {
    this.#kept = new Map(this.#posts);
  }

  /** The end of the history is lost. `false`: there is no backup. */
  restore(): boolean {
    const kept = this.#kept;
    if (!kept) return false;
    for (const id of new Set([...this.#posts.keys(), ...kept.keys()])) {
      const [is, was] = [stateOf(this.#posts.get(id)), stateOf(kept.get(id))];
      if (is !== was) this.#live(id, was);
    }
    this.#posts = new Map(kept);
    this.#move();
    return true;
  }

  get hasBackup(): boolean {
    return this.#kept !== undefined;
  }

  /** The page as one text, newest first. */
  shown(): string {
    return this.#shown;
  }

  #move(): void {
    const from = this.#shown;
    this.#shown = textOf([...this.#posts].reverse().map(([id, { mark, show }]) => ({ id, show, mark })));
    if (this.#shown !== from) this.#moved(from, this.#shown);
  }

  /** What the page is known to have shown at a cursor. */
  at(cursor: string): string | undefined {
    return this.#atCursor.get(cursor);
  }

  lifeOf(id: string): readonly string[] {
    return this.#lives.get(id) ?? [ABSENT];
  }

  #live(id: string, state: string): void {
    const life = this.#lives.get(id) ?? [ABSENT];
    this.#lives.set(id, life);
    life.push(state);
  }
}

/** Watches one reader: that nothing is doubled, out of place, or older than what it has shown before. */
export class Judge {
  readonly #truth: Truth;
  readonly #name: string;
  /** How far each post's life has been seen. */
  readonly #seen = new Map<string, number>();
  #before = "";

  constructor(truth: Truth, name: string) {
    this.#truth = truth;
    this.#name = name;
  }

  /**
   * Returns the page as one text.
   *
   * @param isWhole whether a cursor stands for all up to it, and nothing after (updates were not cut).
   */
  look(posts: readonly Seen[], cursor: string, isWhole: boolean): string {
    const text = textOf(posts);
    if (text !== this.#before) {
      this.#before = text;
      this.#judge(posts);
    }
    const expected = this.#truth.at(cursor);
    if (isWhole && expected !== undefined && expected !== text) {
      throw new Broken(`${this.#name} is at ${cursor} and shows [${text}], which was then [${expected}]`);
    }
    return text;
  }

  #judge(posts: readonly Seen[]): void {
    const now = new Map<string, string>();
    let above = Number.POSITIVE_INFINITY;
    for (const post of posts) {
      const { id, at } = post;
      if (now.has(id)) throw new Broken(`${this.#name} shows ${id} twice: [${textOf(posts)}]`);
      if (!(at < above))
        throw new Broken(`${this.#name} shows ${id} (${at}) below ${above}: [${textOf(posts)}]`);
      above = at;
      now.set(id, stateOf(post));
    }
    for (const id of new Set([...now.keys(), ...this.#seen.keys()])) {
      const state = now.get(id) ?? ABSENT;
      const life = this.#truth.lifeOf(id);
      const from = this.#seen.get(id) ?? 0;
      const next = life.indexOf(state, from);
      if (next < 0) {
        throw new Broken(
          `${this.#name} shows ${id} ${state} after ${life[from]}; it was: ${life.join(", ")}`,
        );
      }
      this.#seen.set(id, next);
    }
  }
}

function stateOf(post: Post | undefined): string {
  if (!post) return ABSENT;
  return post.show ? post.mark : HIDDEN;
}

export function textOf(posts: readonly { id: string; show: boolean; mark: string }[]): string {
  return posts.map((post) => `${post.id} ${stateOf(post)}`).join(" | ");
}
