/**
 * Pages that nobody reads at the moment, kept for a while for the one who reloads or asks now and then. A segmented LRU:
 * those that a reader has come back to are counted apart, so that whoever asks once each for any number of pages takes no
 * page from its readers.
 */
export interface IdlePages<P> {
  /** Keeps a page from now on; may let go of the one that is idle longest. */
  add(page: P, wasReturnedTo: boolean): void;
  /** It is read again, or gone. */
  delete(page: P): void;
  /** Lets go of those that were kept long enough. */
  expire(): void;
}

export interface IdlePagesOptions<P> {
  /** How many are kept of each kind. */
  readonly most: number;
  readonly keptMs: number;
  readonly letGo: (page: P) => void;
}

export function idlePages<P>({ most, keptMs, letGo }: IdlePagesOptions<P>): IdlePages<P> {
  /** With the time since when, hence longest idle first. */
  const passing = new Map<P, number>();
  const returnedTo = new Map<P, number>();

  function end(page: P): void {
    passing.delete(page);
    returnedTo.delete(page);
    letGo(page);
  }

  return {
    add(page, wasReturnedTo) {
      const pages = wasReturnedTo ? returnedTo : passing;
      pages.set(page, performance.now());
      if (pages.size <= most) return;
      const [longestIdle] = pages.keys();
      end(longestIdle!);
    },

    delete(page) {
      passing.delete(page);
      returnedTo.delete(page);
    },

    expire() {
      const now = performance.now();
      for (const pages of [passing, returnedTo]) {
        for (const [page, since] of pages) {
          if (now - since <= keptMs) break;
          end(page);
        }
      }
    },
  };
}
