/** `tidings serve`: a whole live blog. */
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
  if (settings.publisher !== undefined) warn("a publisher of one's own is not used in this version yet");
  const { startServer } = await import("../server.ts");
  const { banner } = await import("../first-start.ts");
  const starting = startServer(settings);
  closeOnSignals(async () => (await starting).close());
  const { greeting } = await starting;
  // On later starts whoever reads the log must not find a way in there.
  console.log(banner(greeting, process.stdout.isTTY || greeting.token !== undefined));
}

function closeOnSignals(close: () => Promise<void>): void {
  let isClosing = false;
  const onSignal = (): void => {
    if (isClosing) process.exit(1);
    isClosing = true;
    close().then(
      () => process.exit(),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
}
