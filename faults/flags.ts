/** What the commands here are told: wrong flags end them with 2, and a line that says what is wrong. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { type ParseArgsConfig, parseArgs } from "node:util";

export function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

type Options = NonNullable<ParseArgsConfig["options"]>;

/** `parseArgs`, for whoever reads the terminal: `--help` lists the flags, names the page that says more, and ends with 0. */
export function readFlags<const O extends Options>(
  options: O,
  page = "docs/faults.md",
): ReturnType<typeof parseArgs<{ options: O }>>["values"] {
  const flags = listed(options);
  if (process.argv.includes("--help")) {
    console.log(`${flags}\n\n${page} says more.`);
    process.exit();
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(`${(error as Error).message}\n${flags}`);
  }
}

function listed(options: Options): string {
  const lines = Object.entries(options).map(([name, { type, default: value = "", multiple }]) => {
    const unset = String(value) === "" ? "" : `  (default: ${value})`;
    return `  --${name}${type === "string" ? " …" : ""}${multiple ? ", more than once" : ""}${unset}`;
  });
  return ["The flags:", ...lines].join("\n");
}

/** Before anything begins: what is found is not to be lost at the end. */
export function writableFile(flag: string, path: string | undefined): void {
  if (path === undefined) return;
  writableFolder(flag, dirname(path), path);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) refuse(`${flag}: ${path} is a folder`);
}

/** @param named what the flag said, where that is a file in it */
export function writableFolder(flag: string, folder: string, named: string = folder): void {
  try {
    if (!statSync(folder).isDirectory()) throw new Error("it is no folder");
    accessSync(folder, constants.W_OK);
  } catch (error) {
    refuse(`${flag}: ${named} cannot be written: ${(error as Error).message}`);
  }
}

export function wholeNumber(
  flag: string,
  text: string,
  { least = 0 }: { readonly least?: number } = {},
): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(number) || number < least) {
    refuse(`${flag} must be a whole number of at least ${least}, not "${text}"`);
  }
  return number;
}

/** @param most the largest that makes sense */
export function share(flag: string, text: string, most: number): number {
  const number = Number(text);
  if (!(number > 0 && number <= most))
    refuse(`${flag} must be more than 0 and at most ${most}, not "${text}"`);
  return number;
}

export function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  if (!(known as readonly string[]).includes(text)) {
    refuse(`${flag}: "${text}" is none of ${known.join(", ")}`);
  }
  return text as T;
}
