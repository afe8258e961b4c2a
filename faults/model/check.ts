/** Tries histories until one breaks the promise, and makes that one short. */
import fc from "fast-check";
import { describe, type Focus, happen, histories, type Sabotage } from "./history.ts";

export interface Checked {
  readonly runs: number;
  /** What broke, by which steps, and how to see it again. */
  readonly failure?: string;
  /** Virtual milliseconds from the last fault until all were equal. */
  readonly p50: number;
  readonly worst: number;
  /** Of all that readers have shown: the same for the same seed, however busy the machine. */
  readonly digest: number;
}

export interface Budget {
  readonly runs: number;
  readonly seed: number;
  /** Of a failure: begins with that history. */
  readonly path?: string | undefined;
  readonly focus?: Focus | undefined;
  /** A part that breaks its contract: to see that it is found. */
  readonly sabotage?: Sabotage;
}

export async function check({ runs, seed, path, focus, sabotage }: Budget): Promise<Checked> {
  const times: number[] = [];
  let digest = 0;
  const property = fc.asyncProperty(histories(focus), async (history) => {
    const { equalAfter, digest: shown } = await happen(history, sabotage);
    times.push(equalAfter);
    digest = (Math.imul(digest, 31) + shown) | 0;
  });
  const details = await fc.check(property, {
    numRuns: runs,
    seed,
    endOnFailure: sabotage !== undefined,
    ...(path && { path }),
  });
  times.sort((a, b) => a - b);
  const [p50, worst] = [times[times.length >> 1] ?? 0, times.at(-1) ?? 0];
  if (!details.failed) return { runs: details.numRuns, p50, worst, digest };
  const [history] = details.counterexample ?? [];
  const error = details.errorInstance;
  const failure = [
    `After ${details.numRuns} histories: ${error instanceof Error ? (error.name === "Error" ? error.message : error.stack) : error}`,
    history && describe(history),
    `Again: npm run faults:model -- --seed=${details.seed} --path=${details.counterexamplePath}${flagsOf(focus)}`,
  ].join("\n");
  return { runs: details.numRuns, failure, p50, worst, digest };
}

/** A path holds only in the same corner. */
function flagsOf(focus: Focus = {}): string {
  return Object.entries(focus)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` --${name}="${value}"`)
    .join("");
}
