/** What a conformance suite needs of a test runner: Vitest, Jest, Bun and `node:test` all have it. */
export interface Runner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
}

/** A tested thing, and how to end what the factory started for it. */
export interface Made<T> {
  readonly value: T;
  /** Called after the test; the suite has called the thing's own `close()` already. */
  readonly dispose?: () => Promise<void>;
}

/** Runs one test with a thing of its own, and ends it whatever happens. */
export async function withMade<T extends { close(): Promise<void> }>(
  make: () => Promise<Made<T>> | Made<T>,
  body: (value: T) => Promise<void>,
): Promise<void> {
  const { value, dispose } = await make();
  try {
    await body(value);
  } finally {
    await value.close();
    await dispose?.();
  }
}

/** Resolves when `check` no longer throws; after `timeoutMs` rejects with what it threw last. */
export async function eventually(check: () => void | Promise<void>, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
