/** `npm run fuzz -- [--runs=N] [--seed=S]`: the fuzz tests with another budget than CI has. */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "10000" }, seed: { type: "string" } },
});
const { status } = spawnSync("vitest", ["run", "test/fuzz"], {
  stdio: "inherit",
  env: {
    ...process.env,
    TIDINGS_TEST_FUZZ_RUNS: values.runs,
    ...(values.seed !== undefined && { TIDINGS_TEST_FUZZ_SEED: values.seed }),
  },
});
process.exitCode = status ?? 1;
