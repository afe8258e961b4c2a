/** How a harness ends before its time: by Ctrl-C, or by what limits its time. */

/** What a shell makes of them: 128 and the signal's number. */
const CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** npm passes on what a terminal has sent to all of a command's processes: so soon, the second is still the first. */
const SAME_SIGNAL_MS = 250;

/**
 * At the first SIGINT or SIGTERM nothing more is done but to undo what was started (test/support/at-exit.ts), and the process
 * exits with 130 or 143. A second signal ends it at once, whatever is left then. To be called before anything is started, for
 * others (Playwright) have their own ways to end.
 */
export function endOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SAME_SIGNAL_MS);
      // The system's own way with signals, which needs no event loop.
      for (const any of ["SIGINT", "SIGTERM"]) process.removeAllListeners(any);
      process.exit(CODES[signal]);
    });
  }
}
