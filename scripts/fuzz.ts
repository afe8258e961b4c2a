/** `npm run fuzz -- [--runs=N] [--seed=S]`: the fuzz tests with another budget and other values than CI has. */
import { spawnSync } from "node:child_process";
import { readFlags, wholeNumber } from "../faults/flags.ts";

const values = readFlags({ runs: { type: "string", default: "10000" }, seed: { type: "string" } });
wholeNumber("--runs", values.runs, { least: 1 });
if (values.seed !== undefined) wholeNumber("--seed", values.seed);
const seed = values.seed ?? String(Date.now() % 2 ** 31);
console.log(`seed ${seed}`);
const { status } = spawnSync("vitest", ["run", "test/fuzz"], {
  stdio: "inherit",
  env: {
    ...process.env,
    TIDINGS_TEST_FUZZ_RUNS: values.runs,
    TIDINGS_TEST_FUZZ_SEED: seed,
  },
});
process.exitCode = status ?? 1;
