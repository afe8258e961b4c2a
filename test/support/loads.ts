const HOOK = `
import { writeSync } from "node:fs";
import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    const [, library] = /\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url) ?? [];
    const when = process.getActiveResourcesInfo().includes("TCPServerWrap") ? "serving" : "starting";
    if (library) writeSync(1, "while " + when + " loads " + library + "\\n");
    return next(url, context);
  },
});
`;

/** An option of Node that makes a process say on its standard output which library it loads, and whether it listens by then. */
export const TELLING_LOADS: string = `--import=data:text/javascript,${encodeURIComponent(HOOK)}`;

/** The libraries loaded, by what was said. */
export function loadsIn(output: string, when: "starting" | "serving"): ReadonlySet<string> {
  return new Set(
    [...output.matchAll(new RegExp(`while ${when} loads (\\S+)`, "g"))].map(([, name]) => name!),
  );
}
