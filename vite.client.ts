import { fileURLToPath } from "node:url";
import { defineConfig, type EnvironmentOptions, type UserConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const script = (
  input: Record<string, string>,
  format: "iife" | "es",
  copyPublicDir = false,
): EnvironmentOptions => ({
  consumer: "client",
  build: {
    outDir: here("dist/assets"),
    // dist/ also holds the package's modules.
    emptyOutDir: false,
    copyPublicDir,
    modulePreload: false,
    minify: true,
    target: "es2022",
    rolldownOptions: {
      input,
      output: {
        format,
        entryFileNames: "[name].js",
        assetFileNames: "reader[extname]",
        // Else constants become variables, and the minifier leaves those where they are.
        topLevelVar: false,
      },
    },
  },
});

/** What a reader's browser loads, under names without hashes: pages of other sites link to them. */
const config: UserConfig = defineConfig({
  publicDir: here("src/app/reader/public"),
  environments: {
    /** The client as a classic script: `assets/tidings.js`. */
    tidings: script({ tidings: here("src/client/global.ts") }, "iife"),
    /** `<live-page>`, whole, as a classic script: `assets/live-page.js`. */
    livePage: script({ "live-page": here("src/client/live-page.ts") }, "iife"),
    /** The client for hosted services, whole, as a classic script: `assets/hosted.js`. */
    hosted: script({ hosted: here("src/client/hosted-global.ts") }, "iife"),
    /** The client under Wagtail Live's names, as a classic script: `assets/wagtail-live.js`. */
    wagtailLive: script({ "wagtail-live": here("src/client/wagtail-live/global.ts") }, "iife"),
    /** The script and the style of our own reader pages: `assets/reader.js`, `assets/reader.css`. */
    reader: script(
      { reader: here("src/app/reader/reader.ts"), style: here("src/app/reader/reader.css") },
      "es",
      true,
    ),
  },
  builder: {
    async buildApp(builder) {
      await builder.build(builder.environments.tidings!);
      await builder.build(builder.environments.livePage!);
      await builder.build(builder.environments.hosted!);
      await builder.build(builder.environments.wagtailLive!);
      await builder.build(builder.environments.reader!);
    },
  },
});

export default config;
