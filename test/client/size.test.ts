import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createBuilder, mergeConfig } from "vite";
import { expect, test } from "vitest";
import config from "../../vite.client.ts";

test("the client is at most 5,000 bytes, minified and gzipped", async () => {
  const outDir = await mkdtemp(join(tmpdir(), "tidings-client-"));
  try {
    const overrides = {
      configFile: false,
      logLevel: "error",
      environments: { tidings: { build: { outDir } } },
    };
    const builder = await createBuilder(mergeConfig(config, overrides));
    await builder.build(builder.environments.tidings!);
    const script = await readFile(join(outDir, "tidings.js"));
    const bytes = gzipSync(script, { level: 9 }).length;
    expect(bytes).toBeGreaterThan(1000);
    expect(bytes).toBeLessThanOrEqual(5000);
  } finally {
    await rm(outDir, { recursive: true });
  }
});
