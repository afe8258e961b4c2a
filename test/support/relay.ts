import { createLogger } from "../../src/app/log.ts";
import { startRelay } from "../../src/app/relay.ts";
import { type RelaySettings, readRelaySettings } from "../../src/app/settings.ts";
import { emptyFolder } from "./folder.ts";

export interface TestRelay extends Awaited<ReturnType<typeof startRelay>> {
  /** What it logged at `warn` and above. */
  readonly warnings: {
    readonly stage?: string;
    readonly channel?: string;
    readonly err?: { message: string };
  }[];
}

/** Starts the relay in this process on a free port of loopback, before a Redis. */
export async function startTestRelay(
  redisUrl: string,
  overrides: Partial<RelaySettings> = {},
): Promise<TestRelay> {
  const { path: cwd, dispose } = emptyFolder();
  const settings = { ...(await readRelaySettings({ env: {}, cwd })), host: "127.0.0.1", port: 0, redisUrl };
  const warnings: TestRelay["warnings"] = [];
  const stream = { write: (line: string) => void warnings.push(JSON.parse(line)) };
  const relay = await startRelay({ ...settings, ...overrides }, createLogger("warn", stream));
  return {
    ...relay,
    warnings,
    async close() {
      await relay.close();
      await dispose();
    },
  };
}
