/**
 * A rolling deploy of three servers behind HAProxy, under load: first with TIDINGS_DRAIN_SECONDS, then without, which must
 * be seen to refuse. Ends with 1 when a post was refused, a reader lost, or one without an update for longer than allowed.
 *
 * npm run faults:deploy [-- --drain 5,0 --check-ms 1000 --readers 200 --reporters 5 --allowance-ms 3000 --seed 1]
 */
import { loadavg } from "node:os";
import { endOnSignals } from "../ending.ts";
import { readFlags, wholeNumber } from "../flags.ts";
import { need } from "../needs.ts";
import { machine } from "../processes/report.ts";
import type { Spread } from "../spread.ts";
import { type DeployOutcome, runDeploy } from "./deploy.ts";

endOnSignals();
const values = readFlags({
  drain: { type: "string", default: "5,0" },
  "check-ms": { type: "string", default: "1000" },
  readers: { type: "string", default: "200" },
  reporters: { type: "string", default: "5" },
  "allowance-ms": { type: "string", default: "3000" },
  seed: { type: "string", default: "1" },
});

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const told = ({ p50, p99, last }: Spread, as: (value: number) => string) =>
  `p50 ${as(p50)}, p99 ${as(p99)}, most ${as(last)}`;

function tell(outcome: DeployOutcome): void {
  const { servers, breaches, changes, reconnects } = outcome;
  console.log(`
TIDINGS_DRAIN_SECONDS=${outcome.drainSeconds}: three servers in ${outcome.seconds.toFixed(0)} s (${servers.map(({ endMs, startMs }) => `ended in ${seconds(endMs)}, ready in ${seconds(startMs)}`).join("; ")})
newsroom: ${changes} changes, ${(changes / outcome.seconds).toFixed(1)} a second; ${outcome.refused} requests refused, ${outcome.unanswered} not answered
readers: ${outcome.readers}, lost ${outcome.lost}, connections broken or refused ${outcome.broken.length}
reconnects of a reader: ${told(reconnects, String)}
told to come back within ${seconds(outcome.windowMs)}; longest without an acknowledged change: ${told(outcome.staleMs, seconds)}
breaches: ${breaches.length}${breaches
    .slice(0, 10)
    .map((breach) => `\n  ${breach}`)
    .join("")}
load ${loadavg()[0]!.toFixed(1)} after`);
}

const number = (name: "check-ms" | "readers" | "reporters" | "allowance-ms" | "seed", least = 1) =>
  wholeNumber(`--${name}`, values[name], { least });
const options = {
  checkMs: number("check-ms"),
  readers: number("readers"),
  reporters: number("reporters"),
  allowanceMs: number("allowance-ms", 0),
  seed: number("seed", 0),
};
const drains = values.drain.split(",").map((text) => wholeNumber("--drain", text));
need("postgres", "redis", "haproxy");
console.log(`${machine()}; load ${loadavg()[0]!.toFixed(1)} before`);
for (const drainSeconds of drains) {
  const outcome = await runDeploy({ drainSeconds, ...options });
  tell(outcome);
  // Without the setting posts are refused: a run that does not see that shows nothing.
  if (drainSeconds > 0 ? outcome.breaches.length > 0 : outcome.refused === 0) process.exitCode = 1;
}
