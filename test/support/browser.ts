import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const CANDIDATES = [
  process.env.TIDINGS_TEST_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The real Chromium of this machine (see scripts/install-test-tools.ts). */
export function chromiumPath(): string {
  const path = CANDIDATES.find((candidate) => candidate !== undefined && existsSync(candidate));
  if (path === undefined)
    throw new Error("no Chromium found: install it, or name it in TIDINGS_TEST_CHROMIUM");
  return path;
}

/**
 * Launches Chromium, headless, talking to nobody but the tests' own servers. Close it in `afterAll`.
 *
 * @param folder for what it writes while it runs; default: the system's
 */
export function launchBrowser(folder?: string): Promise<Browser> {
  return chromium.launch({
    ...(folder !== undefined && { env: { ...process.env, TMPDIR: folder } }),
    executablePath: chromiumPath(),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
