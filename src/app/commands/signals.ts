/** How a server's process ends. */

/** Whatever hangs, the process ends by then, once it closes. */
const MUST_END_MS = 9_500;

/** What a server does at its end; absent before there is something to close. */
export interface Signals {
  server?: { drain(): Promise<void>; close(): Promise<void> };
}

/**
 * Ends kindly on the first signal, at once on the second, and at once before there is something to close. What
 * was acknowledged is on disk either way. SIGTERM (systemd, Kubernetes, Docker) lets the server drain before; SIGINT is
 * a person at a terminal, who has nobody to take over.
 */
export function hearSignals(): Signals {
  const signals: Signals = {};
  let isEnding = false;
  const onSignal = (name: NodeJS.Signals): void => {
    const { server } = signals;
    if (isEnding || server === undefined) process.exit(isEnding ? 1 : 0);
    isEnding = true;
    end(server, name).then(
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

async function end(server: NonNullable<Signals["server"]>, signal: NodeJS.Signals): Promise<void> {
  if (signal === "SIGTERM") await server.drain();
  setTimeout(() => process.exit(1), MUST_END_MS).unref();
  await server.close();
}
