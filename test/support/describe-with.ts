import { describe, expect, it } from "vitest";
import { isInstalled, type ServiceKind } from "./services.ts";

/**
 * `describe` for tests that need a server: left out where it is not installed, for the end of the output to tell;
 * in CI a missing one fails.
 */
export function describeWith(kind: ServiceKind, body: () => void): void {
  if (isInstalled(kind)) describe(kind, body);
  else if (process.env.CI) it(`needs ${kind}`, () => expect.fail(`${kind} is not installed`));
  else describe.skip(`needs ${kind}, because it is not installed`, body);
}
