import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

// The editor's page. No inline script or style and no data: URLs: its Content-Security-Policy allows none.
const config: UserConfig = defineConfig({
  root: fileURLToPath(new URL("src/app/editor", import.meta.url)),
  base: "/editor/",
  build: {
    outDir: fileURLToPath(new URL("dist/editor", import.meta.url)),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
  },
});

export default config;
