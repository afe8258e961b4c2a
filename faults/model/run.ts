/**
 * `npm run faults:model -- [--runs=1000] [--seed=S] [--path=P]`: random histories, as many as wanted. A failure is
 * printed as a short list of steps, with the seed and the path that bring it back.
 *
 * To look into one corner: `--log="sqlite store"`, `--reader=model`, `--transport=polling`, and `--often=log,cache` for
 * steps that are to happen five times as often. A path holds only with the same.
 */
import { oneOf, readFlags, wholeNumber } from "../flags.ts";
import { check } from "./check.ts";
import { type Focus, READERS, STEP_KINDS, TRANSPORTS } from "./history.ts";
import { LOG_KINDS } from "./site.ts";

const values = readFlags({
  runs: { type: "string", default: "1000" },
  seed: { type: "string" },
  path: { type: "string" },
  log: { type: "string" },
  reader: { type: "string" },
  transport: { type: "string" },
  often: { type: "string" },
});
const runs = wholeNumber("--runs", values.runs, { least: 1 });
const seed = wholeNumber("--seed", values.seed ?? String(Date.now() % 2 ** 31));
const among = <T extends string>(name: "log" | "reader" | "transport", known: readonly T[]) =>
  values[name] === undefined ? undefined : oneOf(`--${name}`, values[name], known);
const focus: Focus = {
  log: among("log", LOG_KINDS),
  reader: among("reader", READERS),
  transport: among("transport", TRANSPORTS),
  often: values.often?.split(",").map((kind) => oneOf("--often", kind, STEP_KINDS)),
};
const began = performance.now();
const result = await check({ runs, seed, path: values.path, focus });
const seconds = ((performance.now() - began) / 1_000).toFixed(1);
if (result.failure === undefined) {
  console.log(`${result.runs} histories in ${seconds} s, seed ${seed}: every reader was equal in the end.`);
  console.log(`Equal after the last fault: half within ${result.p50} ms, all within ${result.worst} ms.`);
} else {
  console.error(result.failure);
  process.exitCode = 1;
}
