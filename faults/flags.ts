/** What the commands here are told: wrong flags end them with 2, and a line that says what is wrong. */
import { type ParseArgsConfig, parseArgs } from "node:util";

export function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

type Options = NonNullable<ParseArgsConfig["options"]>;

/** `parseArgs`, for whoever reads the terminal. */
export function readFlags<const O extends Options>(
  options: O,
): ReturnType<typeof parseArgs<{ options: O }>>["values"] {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse((error as Error).message);
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
