/** Command lines: `--flag value`, `--flag=value`, and what is left over, with errors that help. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { TidingsError } from "../errors.ts";

/** Flags by name, without their dashes. A `boolean` one stands alone, or takes `=true` or `=false`. */
export type FlagTypes = Readonly<Record<string, "string" | "boolean">>;

export type Flags = Readonly<Record<string, string | boolean>>;

export interface CommandLine {
  /** By name. Of a flag given twice, the last. */
  readonly flags: Flags;
  readonly positionals: readonly string[];
}

/**
 * Takes a command line apart. `-100123` and `- text` are no flags: channel ids and texts may begin so; `--` ends the flags.
 * Throws `settings` for a flag that is unknown or lacks its value; the message never shows a value.
 *
 * @example
 * parseCommandLine(["finals", "--port", "9000"], { port: "string" });
 * // { flags: { port: "9000" }, positionals: ["finals"] }
 */
export function parseCommandLine(args: readonly string[], types: FlagTypes): CommandLine {
  const options: ParseArgsConfig["options"] = {};
  for (const [name, type] of Object.entries(types)) options[name] = { type };
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });

  const flags: Record<string, string | boolean> = {};
  const positionals: string[] = [];
  let single = -1;
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    if (!token.rawName.startsWith("--")) {
      // `-100123` comes as one token for each of its characters, all with the same index.
      if (single === token.index) continue;
      single = token.index;
      const arg = args[token.index]!;
      if (!/^-[\d\s]/.test(arg)) throw unknownFlag(arg, types);
      positionals.push(arg);
      continue;
    }
    const { name, value, inlineValue } = token;
    if (!Object.hasOwn(types, name)) throw unknownFlag(token.rawName, types);
    if (types[name] === "boolean") {
      if (value !== undefined && value !== "true" && value !== "false") {
        throw new TidingsError("settings", `--${name} stands alone, or takes =true or =false`);
      }
      flags[name] = value !== "false";
    } else {
      if (value === undefined || (!inlineValue && value.startsWith("--"))) {
        throw new TidingsError("settings", `--${name} needs a value`);
      }
      flags[name] = value;
    }
  }
  return { flags, positionals };
}

/** The one of `known` that `word` is most likely meant to be; `undefined` when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3));
  return known
    .map((candidate) => ({ candidate, far: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ far }) => far <= limit)
    .sort((a, b) => a.far - b.far)[0]?.candidate;
}

/** `"; did you mean …?"`, or nothing when no name is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return meant === undefined ? "" : `; did you mean ${meant}?`;
}

/** A value in one short line, without the password that a URL may hold. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  // A password may hold anything, also what would end it in a URL, or a line.
  const [begin, end] = [text.indexOf("//"), text.lastIndexOf("@")];
  const bare = begin >= 0 && end > begin ? `${text.slice(0, begin)}//…${text.slice(end)}` : text;
  const safe = bare.replace(/(password|token)=[^&"]*/gi, "$1=…");
  const line = safe.replace(/[\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16)}`);
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

function unknownFlag(arg: string, types: FlagTypes): TidingsError {
  const name = arg.split("=", 1)[0]!;
  const flag = /^[\w-]{1,80}$/.test(name) ? name : shown(name);
  const known = Object.keys(types).map((name) => `--${name}`);
  return new TidingsError("settings", `unknown flag ${flag}${didYouMean(flag.replace(/^--?/, "--"), known)}`);
}

/** How many letters must be typed, dropped, changed or swapped with their neighbour to make `a` into `b`. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      }
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
