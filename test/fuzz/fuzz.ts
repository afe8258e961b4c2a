/** What the fuzz tests share: their budget, a clock that stops what never ends, and what strangers write. */
import { createContext, runInContext } from "node:vm";
import fc from "fast-check";
import { expect, it } from "vitest";
import { TidingsError } from "../../src/errors.ts";

/**
 * Runs of a test in CI, the same for each change, so that what fails is the change's doing; by hand as many as wanted, of
 * another seed each time: `npm run fuzz -- --runs=100000 --seed=7`.
 */
const { TIDINGS_TEST_FUZZ_RUNS = "300", TIDINGS_TEST_FUZZ_SEED = "1" } = process.env;

/** A test that tries what must hold with many values; its failure names the smallest it found, the seed and the path. */
export function fuzz<T>(
  name: string,
  values: fc.Arbitrary<T>,
  holds: (value: T) => unknown,
  share = 1,
): void {
  const numRuns = Math.ceil(Number(TIDINGS_TEST_FUZZ_RUNS) * share);
  it(name, { timeout: 60_000 + numRuns * 1_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        await holds(value);
      }),
      { numRuns, seed: Number(TIDINGS_TEST_FUZZ_SEED) },
    );
  });
}

const context = createContext({ run: undefined });

/** What takes a second on a machine at rest may take some on one that is not; what grows with the square takes minutes. */
const TIME_MS = 10_000;

/** Runs it, and stops it when it takes too long: else a test of what never ends would never end. */
export function inTime<T>(run: () => T): T {
  context.run = run;
  return runInContext("run()", context, { timeout: TIME_MS }) as T;
}

/** The value, or `undefined` when it was refused, by an error of ours with one of these codes. */
export function refusing<T>(codes: readonly string[], run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    expectRefusal(error, codes);
    return undefined;
  }
}

export function expectRefusal(error: unknown, codes: readonly string[]): void {
  if (!(error instanceof TidingsError)) throw error;
  expect(codes).toContain(error.code);
  // One line, and no more of what was sent than a person can read.
  expect(error.detail).toMatch(/^[^\n\r]{1,2500}$/);
}

/** Pieces that parsers look for, and what confuses them. */
export const PIECES: readonly string[] = [
  ...[
    '"',
    "'",
    "\\",
    "\\u0000",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "-0",
    "1e999",
    "9007199254740993",
  ],
  ...["renders", "removals", "cursor", "show", "content", "at", "reset", "retry", "__proto__", "constructor"],
  ...["<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?", "&", "&amp;", "&#x3c;", "&lt", "=", "`"],
  ...[
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<a href=",
    "<b>",
    "</b>",
    "<table>",
    "<td>",
    "<svg>",
    "<math>",
    "<style>",
  ],
  ...[
    "<script>",
    "</script>",
    "<template>",
    "<iframe src=",
    "<img src=x onerror=",
    " onclick=x",
    "javascript:",
  ],
  ...[
    "http://",
    "https://",
    "//",
    "@",
    "?",
    "#",
    "%",
    "%2e",
    "%00",
    "../",
    "./",
    "/",
    ".",
    "-",
    "_",
    "+",
    "~",
  ],
  ...[
    "redis://",
    "postgres://",
    "W/",
    "*",
    " ",
    "\t",
    "\n",
    "\n \n",
    "\r",
    "\0",
    "\u2028",
    "\ufeff",
    "\ud800",
    "é",
    "😀",
  ],
  ...["a", "0", "1", "17", "k3Zq.17", "mailto:", "youtu.be/", "/apps/", "ws/channel/", "sse/channel/"],
];

/** Text as strangers write it: a few pieces, or anything. */
export const texts: fc.Arbitrary<string> = fc.oneof(
  fc
    .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 5 })), { maxLength: 30 })
    .map((all) => all.join("")),
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.json(),
);

/** Text of 100 kB that says the same again and again: what makes a parser go back, and back, and back. */
export const endless: fc.Arbitrary<Endless> = fc.record({
  begin: fc.constantFrom("", ...PIECES),
  again: fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 3 }).map((all) => all.join("")),
  end: fc.constantFrom("", ...PIECES),
});

/** Short, as it is shown when a test fails. */
export interface Endless {
  readonly begin: string;
  readonly again: string;
  readonly end: string;
}

export function spell({ begin, again, end }: Endless): string {
  return begin + again.repeat(Math.ceil(100_000 / again.length)) + end;
}
