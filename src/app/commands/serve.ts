/** `tidings serve`: a whole live blog. */
import { createLogger } from "../log.ts";
import { parseSettingFlags, readSettings, SERVE_SETTINGS } from "../settings.ts";
import { hearSignals } from "./signals.ts";

/** Starts the server, and closes it when a signal ends the process; a second signal does not wait. */
export async function run(args: readonly string[]): Promise<void> {
  const flags = parseSettingFlags("tidings serve", args, SERVE_SETTINGS);
  const warn = (message: string): void => console.error(`tidings: ${message}`);
  const settings = await readSettings({ flags, warn });
  const { startServer } = await import("../server.ts");
  const { banner } = await import("../first-start.ts");
  const signals = hearSignals();
  const server = await startServer(settings, createLogger(settings.logLevel));
  signals.server = server;
  console.log(banner(server.greeting, process.stdout.isTTY));
}
