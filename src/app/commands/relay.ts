/** `tidings relay`: in the place of a Wagtail Live site's WebSocket servers. */
import { createLogger } from "../log.ts";
import { parseSettingFlags, RELAY_SETTINGS, readRelaySettings } from "../settings.ts";
import { hearSignals } from "./signals.ts";

export async function run(args: readonly string[]): Promise<void> {
  const flags = parseSettingFlags("tidings relay", args, RELAY_SETTINGS);
  const warn = (message: string): void => console.error(`tidings: ${message}`);
  const settings = await readRelaySettings({ flags, warn });
  const { startRelay } = await import("../relay.ts");
  const signals = hearSignals();
  const relay = await startRelay(settings, createLogger(settings.logLevel));
  signals.server = relay;
  const address = relay.url.replace(/^http/, "ws");
  console.log(`\n  The relay is running: ${address}/ws/channel/<channel id>/\n`);
}
