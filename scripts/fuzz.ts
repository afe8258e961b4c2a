/** `npm run fuzz -- [--runs=N] [--seed=S]`: the fuzz tests with another budget than CI has. */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { orRefuse, wholeNumber } from "../faults/flags.ts";

const { values } = orRefuse(() =>
  parseArgs({
    options: { runs: { type: "string", default: "10000" }, seed: { type: "string" } },
  }),
);
wholeNumber("--runs", values.runs, { least: 1 });
if (values.seed !== undefined) wholeNumber("--seed", values.seed);
const { status } = spawnSync("vitest", ["run", "test/fuzz"], {
  stdio: "inherit",
  env: {
    ...process.env,
    TIDINGS_TEST_FUZZ_RUNS: values.runs,
    ...(values.seed !== undefined && { TIDINGS_TEST_FUZZ_SEED: values.seed }),
  },
});
process.exitCode = status ?? 1;
