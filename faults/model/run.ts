/**
 * `npm run faults:model -- [--runs=1000] [--seed=S] [--path=P]`: random histories, as many as wanted. A failure is
 * printed as a short list of steps, with the seed and the path that bring it back.
 *
 * To look into one corner: `--log="sqlite store"`, `--reader=model`, `--transport=polling`, and `--often=log,cache` for
 * steps that are to happen five times as often. A path holds only with the same.
 */
import { parseArgs } from "node:util";
import { check } from "./check.ts";
import type { Focus } from "./history.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string" },
    path: { type: "string" },
    log: { type: "string" },
    reader: { type: "string" },
    transport: { type: "string" },
    often: { type: "string" },
  },
});
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const { log, reader, transport } = values;
const focus = { log, reader, transport, often: values.often?.split(",") } as Focus;
const began = performance.now();
const result = await check({ runs: Number(values.runs), seed, path: values.path, focus });
const seconds = ((performance.now() - began) / 1_000).toFixed(1);
if (result.failure === undefined) {
  console.log(`${result.runs} histories in ${seconds} s, seed ${seed}: every reader was equal in the end.`);
  console.log(`Equal after the last fault: half within ${result.p50} ms, all within ${result.worst} ms.`);
} else {
  console.error(result.failure);
  process.exitCode = 1;
}
