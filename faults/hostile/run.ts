/**
 * Strangers who mean ill, each kind on a server of its own that has good readers, and what it costs these. Ends with 1 when
 * a stranger was not ended as PROTOCOL.md has it, or the server took more memory or time than docs/faults.md promises.
 *
 * npm run faults:hostile [-- --scale 1 --only "giant" --per-address 2000 --latency 1000]
 */
import { availableParallelism, loadavg } from "node:os";
import { endOnSignals } from "../ending.ts";
import { readFlags, refuse, share, wholeNumber } from "../flags.ts";
import { ATTACKS } from "./attacks.ts";
import { type Row, startSiege } from "./siege.ts";

endOnSignals();
const values = readFlags({
  scale: { type: "string", default: "1" },
  only: { type: "string" },
  "per-address": { type: "string", default: "2000" },
  latency: { type: "string", default: "1000" },
});

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)}`;

function cells({ name, endings, memory, latency, seconds }: Row): string[] {
  const { before, during } = latency;
  return [
    name,
    [...endings].map(([ending, n]) => `${ending} × ${n}`).join(", "),
    `${megabytes(memory.before)} → ${megabytes(memory.peak)} (${megabytes(memory.bound)})`,
    `${before.p50}, ${before.p99}`,
    `${during.p50}, ${during.p99}`,
    seconds.toFixed(0),
  ];
}

const scale = share("--scale", values.scale, 1);
const maxConnectionsPerAddress = wholeNumber("--per-address", values["per-address"]);
const latencyMs = wholeNumber("--latency", values.latency, { least: 1 });
const attacks = ATTACKS.filter(({ name }) => name.includes(values.only ?? ""));
if (attacks.length === 0) {
  refuse(`--only: "${values.only}" is in none of\n${ATTACKS.map(({ name }) => `  ${name}`).join("\n")}`);
}

console.log(`${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)} before\n`);
console.log(
  "| strangers | how they ended | server's memory, MB (at most) | updates before: p50, p99 ms | meanwhile | seconds |",
);
console.log("| --- | --- | --- | --- | --- | --- |");
const wrong: string[] = [];
for (const attack of attacks) {
  const siege = await startSiege({ scale, maxConnectionsPerAddress, quietMs: 3_000, latencyMs });
  const row = await siege.suffer(attack);
  await siege.end();
  console.log(`| ${cells(row).join(" | ")} |`);
  wrong.push(...row.wrong.map((what) => `${row.name}: ${what}`));
}
console.log(`\nload ${loadavg()[0]!.toFixed(1)} after`);
for (const line of wrong) console.log(line);
process.exit(wrong.length > 0 ? 1 : 0);
