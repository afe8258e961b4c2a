import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Folder {
  readonly path: string;
  dispose(): Promise<void>;
}

/** An empty folder that the test throws away. */
export function emptyFolder(parent: string = tmpdir()): Folder {
  const path = mkdtempSync(join(parent, "tidings-test-"));
  return { path, dispose: async () => rmSync(path, { recursive: true, force: true }) };
}

/** One from which the packages of the checkout are found as they lie, without links to them. */
export function emptyFolderInCheckout(): Folder {
  const parent = fileURLToPath(new URL("../../.test-sites", import.meta.url));
  mkdirSync(parent, { recursive: true });
  return emptyFolder(parent);
}
