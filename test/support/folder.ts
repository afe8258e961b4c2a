import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An empty folder that the test throws away. */
export function emptyFolder(): { path: string; dispose(): Promise<void> } {
  const path = mkdtempSync(join(tmpdir(), "tidings-test-"));
  return { path, dispose: async () => rmSync(path, { recursive: true, force: true }) };
}
