import { defineConfig, type UserConfig } from "tsdown";

// One output file per source file: the wildcard exports of package.json name them, and importing one
// adapter never pulls in another's library.
const config: UserConfig = defineConfig({
  entry: ["src/**/*.ts", "!src/app/editor/**", "!src/app/reader/**"],
  unbundle: true,
  format: "esm",
  platform: "node",
  target: "node22",
  dts: true,
  fixedExtension: false,
  clean: true,
});

export default config;
