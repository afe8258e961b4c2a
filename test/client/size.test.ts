import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { createBuilder, mergeConfig, minify, transformWithOxc } from "vite";
import { expect, test } from "vitest";
import config from "../../vite.client.ts";

/** What readers load, as it is loaded. */
const ASSETS = [
  { environment: "tidings", file: "tidings.js", budget: 5000 },
  // The client, and the element.
  { environment: "livePage", file: "live-page.js", budget: 7300 },
  // The client without its fallbacks, and the protocols of two services.
  { environment: "hosted", file: "hosted.js", budget: 5500 },
  // The client, and the names of Wagtail Live's scripts.
  { environment: "wagtailLive", file: "wagtail-live.js", budget: 6500 },
] as const;

test.for(ASSETS)(
  "$file is at most $budget bytes, minified and gzipped",
  async ({ environment, file, budget }) => {
    const outDir = await mkdtemp(join(tmpdir(), "tidings-client-"));
    try {
      const overrides = {
        configFile: false,
        logLevel: "error",
        environments: { [environment]: { build: { outDir } } },
      };
      const builder = await createBuilder(mergeConfig(config, overrides));
      await builder.build(builder.environments[environment]!);
      const bytes = gzipped(await readFile(join(outDir, file)));
      expect(bytes).toBeGreaterThan(1000);
      expect(bytes).toBeLessThanOrEqual(budget);
    } finally {
      await rm(outDir, { recursive: true });
    }
  },
);

test("the React hook is at most 1,000 bytes, minified and gzipped, beside React and the client", async () => {
  const path = fileURLToPath(new URL("../../src/client/react.ts", import.meta.url));
  const { code } = await transformWithOxc(await readFile(path, "utf8"), path);
  const bytes = gzipped((await minify(path, code)).code);
  expect(bytes).toBeGreaterThan(300);
  expect(bytes).toBeLessThanOrEqual(1000);
});

function gzipped(bytes: string | Buffer): number {
  return gzipSync(bytes, { level: 9 }).length;
}
