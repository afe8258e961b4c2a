/**
 * Strangers who mean ill, each kind on a server of its own that has good readers, and what it costs these. Ends with 1 when
 * a stranger was not ended as PROTOCOL.md has it.
 *
 * npm run faults:hostile [-- --scale 1 --only "giant" --per-address 2000]
 */
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { ATTACKS } from "./attacks.ts";
import { type Row, startSiege, suffer } from "./siege.ts";

const { values } = parseArgs({
  options: {
    scale: { type: "string", default: "1" },
    only: { type: "string" },
    "per-address": { type: "string", default: "2000" },
  },
});

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)}`;

function cells({ name, endings, memory, latency, seconds }: Row): string[] {
  const { before, during } = latency;
  return [
    name,
    [...endings].map(([ending, n]) => `${ending} × ${n}`).join(", "),
    `${megabytes(memory.before)} → ${megabytes(memory.peak)}`,
    `${before.p50}, ${before.p99}`,
    `${during.p50}, ${during.p99}`,
    seconds.toFixed(0),
  ];
}

console.log(`${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)} before\n`);
console.log(
  "| strangers | how they ended | server's memory, MB | latency before: p50, p99 ms | meanwhile | seconds |",
);
console.log("| --- | --- | --- | --- | --- | --- |");
for (const attack of ATTACKS) {
  if (values.only && !attack.name.includes(values.only)) continue;
  const siege = await startSiege(Number(values["per-address"]));
  const row = await suffer(siege, attack, Number(values.scale), 3_000);
  await siege.end();
  console.log(`| ${cells(row).join(" | ")} |`);
  if (row.wrong > 0) process.exitCode = 1;
}
console.log(`\nload ${loadavg()[0]!.toFixed(1)} after`);
process.exit();
