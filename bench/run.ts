/**
 * `npm run bench`: Tidings beside its peers, in one run. About four minutes; `-- --full` measures all there is.
 *
 * --full           everything (about three quarters of an hour)
 * --only=a,b       sections, by their names below
 * --peers=a,b      peers, by their names in peers.ts; fan-out tells the others by `ws`
 * --turns=5
 * --json=<file>    every value of every turn
 * --write          keeps what was measured in bench/measured.json, and rewrites the tables and charts of docs/performance.md
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { endOnSignals } from "../faults/ending.ts";
import { oneOf, readFlags, refuse, wholeNumber, writableFile } from "../faults/flags.ts";
import { PEERS } from "./peers.ts";
import { lacking } from "./processes.ts";
import {
  between,
  type Chart,
  type Circumstances,
  chartOf,
  type Kept,
  replaced,
  tableOf,
  toMarkdown,
} from "./report.ts";
import type { Extent, Section } from "./section.ts";
import { throughBuses } from "./sections/buses.ts";
import { catchUp } from "./sections/catch-up.ts";
import { compression } from "./sections/compression.ts";
import { fanOut } from "./sections/fan-out.ts";
import { flat } from "./sections/flat.ts";
import { idle } from "./sections/idle.ts";
import { latency } from "./sections/latency.ts";
import { many } from "./sections/many.ts";
import { painting } from "./sections/painted.ts";
import { slow } from "./sections/slow.ts";
import { start } from "./sections/start.ts";
import { stolenSeconds } from "./usage.ts";

endOnSignals();

const SECTIONS: Readonly<Record<string, (extent: Extent) => Promise<Section>>> = {
  "fan-out-1000": (extent) => fanOut(1_000, extent),
  "fan-out-5000": (extent) => fanOut(5_000, extent),
  latency,
  idle,
  slow,
  compression,
  "flat-memory": (extent) => flat("memory", extent),
  "flat-sqlite": (extent) => flat("SQLite", extent),
  many,
  start,
  "catch-up-memory": (extent) => catchUp("memory", extent),
  "catch-up-sqlite": (extent) => catchUp("SQLite", extent),
  painted: painting,
  buses: throughBuses,
};
const QUICK = ["fan-out-1000", "latency", "start"];

const CHARTS: readonly Chart[] = [
  {
    section: "fan-out-1000",
    file: "fan-out.svg",
    column: "4 outstanding",
    unit: "server CPU-seconds for a million deliveries, at most 4 updates outstanding; shorter is better",
  },
  {
    section: "fan-out-1000",
    file: "fan-out-alone.svg",
    column: "1 outstanding",
    unit: "server CPU-seconds for a million deliveries, 1 update outstanding, so that nothing is joined; shorter is better",
  },
  {
    section: "flat-memory",
    file: "flat.svg",
    column: "CPU",
    unit: "server CPU for one update to 100 readers, in µs; all alike is good",
  },
];

const options = asked();
if (lacking) refuse(`The bench needs ${lacking}.`);
const names = options.only?.split(",") ?? (options.full ? Object.keys(SECTIONS) : QUICK);
const peers = options.peers?.split(",");
const begun = Date.now();
let load: number[] = [];
const extent: Extent = {
  isFull: options.full,
  turns: Number(options.turns),
  includes: (id) => peers?.includes(id) ?? true,
  tell(what) {
    load.push(loadavg()[0]!);
    console.error(`${((Date.now() - begun) / 1_000).toFixed(0).padStart(5)} s  ${what}`);
  },
};

const measured: Kept[] = [];
for (const name of names) {
  try {
    const kept = await alone(SECTIONS[name]!);
    measured.push(kept);
    console.log(`\n${tableOf(kept.section)}\n\n${JSON.stringify(kept.about)}`);
  } catch (error) {
    // The others are not lost for one.
    console.error(`${name}: ${error instanceof Error ? error.stack : error}`);
    process.exitCode = 1;
  }
}

if (options.json) writeFileSync(options.json, `${JSON.stringify(measured, null, 2)}\n`);
if (options.write) {
  const docs = new URL("../docs/", import.meta.url);
  const page = new URL("performance.md", docs);
  const file = new URL("measured.json", import.meta.url);
  const old = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Kept[]) : [];
  const kept = replaced(old, measured);
  writeFileSync(file, JSON.stringify(kept));
  writeFileSync(page, between(readFileSync(page, "utf8"), "measured", toMarkdown(kept, CHARTS)));
  execFileSync("biome", ["format", "--write", page.pathname, file.pathname], { stdio: "ignore" });
  for (const chart of CHARTS) {
    const charted = measured.find(({ section }) => section.id === chart.section);
    if (charted) writeFileSync(new URL(chart.file, docs), chartOf(charted.section, chart));
  }
}

/** Measures a section, and how quiet the machine was meanwhile. */
async function alone(measure: (extent: Extent) => Promise<Section>): Promise<Kept> {
  load = [loadavg()[0]!];
  const from = Date.now();
  const stolen = stolenSeconds();
  const section = await measure(extent);
  const { rows, leftOut = [] } = section;
  // Nor must an empty table take the place of one that was kept.
  if (rows.length === 0) throw new Error(["none of the peers was measured", ...leftOut].join("; "));
  load.push(loadavg()[0]!);
  const seconds = (Date.now() - from) / 1_000;
  const about: Circumstances = {
    date: new Date(from).toISOString().slice(0, 10),
    cpu: cpus()[0]!.model.trim(),
    cores: cpus().length,
    kernel: release().replace(/^(\d+\.\d+).*/, "$1"),
    node: process.versions.node,
    turns: extent.turns,
    load: [Math.min(...load), Math.max(...load)],
    stolen: (stolenSeconds() - stolen) / (seconds * cpus().length),
    minutes: seconds / 60,
    leftOut,
  };
  return { section, about };
}

function asked() {
  const values = readFlags(
    {
      full: { type: "boolean", default: false },
      only: { type: "string" },
      peers: { type: "string" },
      turns: { type: "string", default: "5" },
      json: { type: "string" },
      write: { type: "boolean", default: false },
    },
    "docs/performance.md",
  );
  wholeNumber("--turns", values.turns, { least: 1 });
  for (const name of values.only?.split(",") ?? []) oneOf("--only", name, Object.keys(SECTIONS));
  const known = PEERS.map(({ id }) => id);
  for (const name of values.peers?.split(",") ?? []) oneOf("--peers", name, known);
  writableFile("--json", values.json);
  return values;
}
