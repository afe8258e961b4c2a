/** How a server's process ends. */

/** Whatever hangs, the process ends by then. */
const MUST_END_MS = 9_500;

/**
 * Ends kindly on the first signal, at once on the second, and at once before there is something to close. What
 * was acknowledged is on disk either way.
 */
export function hearSignals(): { close?: () => Promise<void> } {
  const signals: { close?: () => Promise<void> } = {};
  let isClosing = false;
  const onSignal = (): void => {
    if (isClosing || signals.close === undefined) process.exit(isClosing ? 1 : 0);
    isClosing = true;
    setTimeout(() => process.exit(1), MUST_END_MS).unref();
    signals.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  return signals;
}
