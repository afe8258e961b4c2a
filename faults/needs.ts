/** What a harness cannot do without: it is told before anything is started. */
import { chromiumPath } from "../test/support/browser.ts";
import { isInstalled, type ServiceKind } from "../test/support/services.ts";
import { refuse } from "./flags.ts";

export type Need = ServiceKind | "chromium";

/** Debian's packages. */
const PACKAGES: Readonly<Record<Need, string>> = {
  redis: "redis-server",
  nats: "nats-server",
  postgres: "postgresql",
  rabbitmq: "rabbitmq-server",
  nginx: "nginx",
  haproxy: "haproxy",
  chromium: "chromium",
};

/** Ends the process with 2, and a line that names what is missing and what brings it. */
export function need(...needs: readonly Need[]): void {
  const line = lackOf(needs, isThere);
  if (line !== undefined) refuse(line);
}

/** @returns `undefined` when all are there */
export function lackOf(needs: readonly Need[], isThere: (need: Need) => boolean): string | undefined {
  const missing = [...new Set(needs)].filter((one) => !isThere(one));
  if (missing.length === 0) return undefined;
  const packages = missing.map((one) => PACKAGES[one]).join(" ");
  const named = missing.includes("chromium") ? ", or name a Chrome in TIDINGS_TEST_CHROMIUM" : "";
  return `Not installed: ${missing.join(", ")}. Run node scripts/install-test-tools.ts as root, or apt-get install ${packages}${named}`;
}

function isThere(one: Need): boolean {
  if (one !== "chromium") return isInstalled(one);
  try {
    chromiumPath();
    return true;
  } catch {
    return false;
  }
}
