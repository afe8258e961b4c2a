/** `tidings serve`: a whole live blog. */
import { pino } from "pino";
import { TidingsError } from "../../errors.ts";
import { parseCommandLine } from "../flags.ts";
import { readSettings, settingFlags } from "../settings.ts";

/** Starts the server, and closes it when a signal ends the process; a second signal does not wait. */
export async function run(args: readonly string[]): Promise<void> {
  const { flags, positionals } = parseCommandLine(args, settingFlags());
  if (positionals.length > 0) {
    throw new TidingsError(
      "settings",
      `tidings serve takes flags only, not ${JSON.stringify(positionals[0])}`,
    );
  }
  const warn = (message: string): void => console.error(`tidings: ${message}`);
  const settings = await readSettings({ flags, warn });
  const { startServer } = await import("../server.ts");
  const { banner } = await import("../first-start.ts");
  const signals = hearSignals();
  // Through the stream, not past it: Pino's own writer can wait for ever for a pipe that nobody reads.
  const server = await startServer(settings, pino({ level: settings.logLevel }, process.stdout));
  signals.close = server.close;
  const { greeting } = server;
  // On later starts whoever reads the log must not find a way in there.
  console.log(banner(greeting, process.stdout.isTTY || greeting.token !== undefined));
}

/** Whatever hangs, the process ends by then. */
const MUST_END_MS = 9_500;

/**
 * Ends kindly on the first signal, at once on the second, and at once before there is something to close. What
 * was acknowledged is on disk either way.
 */
function hearSignals(): { close?: () => Promise<void> } {
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
