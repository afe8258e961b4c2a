#!/usr/bin/env node
/** The `tidings` command: finds the command's file, and says in one line what went wrong. */
import { readFileSync } from "node:fs";
import { TidingsError } from "../errors.ts";
import { didYouMean, shown } from "./flags.ts";

interface Command {
  run(args: readonly string[]): Promise<void>;
}

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: () => import("./commands/serve.ts"),
  relay: () => import("./commands/relay.ts"),
  post: () => import("./commands/post.ts"),
  pages: () => import("./commands/pages.ts"),
  help: () => import("./commands/help.ts"),
};

/** Exit codes: 0 done, 1 failed, 2 wrong usage or settings. */
async function main([name, ...args]: readonly string[]): Promise<void> {
  checkNode(process.versions.node);
  if (name === "--version" || name === "-v") return console.log(packageJson().version);
  if (name === "--help" || name === "-h") return (await COMMANDS.help!()).run([]);
  if (name === undefined) {
    const { helpText } = await import("./commands/help.ts");
    console.error(helpText());
    process.exitCode = 2;
    return;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const hint = didYouMean(name, Object.keys(COMMANDS));
    throw new TidingsError("settings", `unknown command ${shown(name)}${hint || "; see: tidings help"}`);
  }
  const end = args.indexOf("--");
  const flags = end < 0 ? args : args.slice(0, end);
  if (flags.includes("--help") || flags.includes("-h")) return (await COMMANDS.help!()).run([name]);
  await (await COMMANDS[name]!()).run(args);
}

function packageJson(): { version: string; engines: { node: string } } {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
}

function checkNode(version: string): void {
  const { node } = packageJson().engines;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [needMajor = 0, needMinor = 0] = node.replace(">=", "").split(".").map(Number);
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return;
  throw new TidingsError("settings", `Node ${node.replace(">=", "")} or newer is needed; this is ${version}`);
}

// A reader of the output that leaves early (`tidings pages | head -1`) is no failure; a server goes on without.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (process.argv[2] === "serve" || process.argv[2] === "relay") return;
  if (error.code === "EPIPE") process.exit();
  throw error;
});

main(process.argv.slice(2)).catch((error: unknown) => {
  const expected = error instanceof TidingsError && error.code !== "internal";
  console.error(expected ? `tidings: ${error.detail}` : error);
  process.exitCode = expected && error.code === "settings" ? 2 : 1;
});
