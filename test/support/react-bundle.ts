import { build, type Rolldown } from "vite";

/** An entry for the browser, with React's checks of development, which mount everything twice in StrictMode. */
export async function bundleReact(input: string): Promise<string> {
  const output = (await build({
    configFile: false,
    mode: "development",
    logLevel: "error",
    define: { "process.env.NODE_ENV": '"development"' },
    build: { write: false, minify: false, rolldownOptions: { input, output: { format: "iife" } } },
  })) as Rolldown.RolldownOutput;
  return output.output[0].code;
}
