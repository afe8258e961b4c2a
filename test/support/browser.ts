import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium } from "playwright-core";

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

/** Launches Chromium, headless, talking to nobody but the tests' own servers. Close it in `afterAll`. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
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

/** A context with a profile on disk: for what a plain context lacks (back/forward cache). */
export async function launchPersistent(): Promise<BrowserContext> {
  const profile = mkdtempSync(join(tmpdir(), "tidings-profile-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath(),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
    ],
  });
  context.on("close", () => rmSync(profile, { recursive: true, force: true }));
  return context;
}
