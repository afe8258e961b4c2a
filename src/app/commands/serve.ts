/** `tidings serve`: a whole live blog. */
import { TidingsError } from "../../errors.ts";
import { parseCommandLine } from "../flags.ts";
import { readSettings, settingFlags } from "../settings.ts";

/** Starts the server, which runs until a signal ends it. */
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
  await startServer(settings);
}
