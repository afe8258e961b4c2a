// A live page on Nitro: npx nitropack build && node .output/server/index.mjs, then open http://localhost:3000
// (In Nuxt: these options as `nitro` in nuxt.config.ts, the files in server/.)
import { fileURLToPath } from "node:url";
import { defineNitroConfig } from "nitropack/config";

export default defineNitroConfig({
  compatibilityDate: "2026-01-01",
  experimental: { websocket: true },
  publicAssets: [{ dir: fileURLToPath(new URL(".", import.meta.resolve("tidings/assets/tidings.js"))) }],
});
