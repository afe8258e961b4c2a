/**
 * `npm run bench:storm`: a million readers come back, in virtual time. Prints a table; `-- --write` puts it into
 * docs/capacity.md, and the chart beside it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { readFlags, wholeNumber } from "../faults/flags.ts";
import { lineChart } from "./chart.ts";
import { between } from "./report.ts";
import { type Outcome, type Storm, simulate } from "./simulate.ts";

const options = readFlags(
  {
    readers: { type: "string", default: "1000000" },
    servers: { type: "string", default: "50" },
    /** Of each server, a second. 400 µs of a core for each: "CPU to enter" of docs/performance.md, and half as much again to catch up. */
    rate: { type: "string", default: "2500" },
    write: { type: "boolean", default: false },
  },
  "docs/capacity.md",
);
const readers = wholeNumber("--readers", options.readers, { least: 1 });
const servers = wholeNumber("--servers", options.servers, { least: 2 });
/** As src/hub/hub.ts makes it from the readers of one server. */
const windowMs = Math.min(Math.max(2_000, (readers / servers / 500) * 1_000), 60_000);
const site = {
  readers,
  servers,
  takenPerSecond: wholeNumber("--rate", options.rate, { least: 1 }),
  backlog: 4_096,
};

interface Scenario {
  readonly name: string;
  readonly line?: string;
  readonly storm: Storm;
}

const OUTAGE_MS = 30_000;
/** Servers of a deploy go one after another, when the one before is back. */
const TURN_MS = 30_000;

const SCENARIOS: readonly Scenario[] = [
  {
    name: `One of ${servers} servers crashes`,
    storm: { ...site, readers: Math.round(readers / servers), servers: servers - 1 },
  },
  {
    name: `A deploy, one server after another (${TURN_MS / 1_000} s each), with \`retry\``,
    storm: {
      ...site,
      servers: servers - 1,
      retry: [500, windowMs],
      cutAt: (reader) => (reader % servers) * TURN_MS,
    },
  },
  {
    name: "All servers restart at once, with `retry`, away for 2 s",
    line: "restarted, with retry",
    storm: { ...site, retry: [500, windowMs], backAt: 2_000 },
  },
  {
    name: "All servers crash at once, away for 2 s",
    storm: { ...site, backAt: 2_000 },
  },
  {
    name: `The same, away for ${OUTAGE_MS / 1_000} s`,
    line: `away for ${OUTAGE_MS / 1_000} s`,
    storm: { ...site, backAt: OUTAGE_MS },
  },
  {
    name: "The same, with readers that try again each second, to compare",
    line: "the same, trying each second",
    storm: { ...site, backAt: OUTAGE_MS, wait: () => 1_000 },
  },
  {
    name: `All are cut off, and for ${OUTAGE_MS / 1_000} s nothing answers`,
    storm: { ...site, backAt: OUTAGE_MS, isSilent: true },
  },
];

const seconds = (ms: number) => (ms / 1_000).toFixed(1);
const whole = (value: number) => Math.round(value).toLocaleString("en");
const outcomes = SCENARIOS.map(({ storm }): Outcome => simulate(storm));
const table = [
  "| what happens | readers cut off | half are back within | 99 % | all | attempts a reader | most knocks in a second | at a full door |",
  "| --- | --- | --- | --- | --- | --- | --- | --- |",
  ...SCENARIOS.map(({ name, storm }, i) => {
    const { half, most, all, attempts, knocks, unheard } = outcomes[i]!;
    const cells = [
      name,
      whole(storm.readers),
      ...[half, most, all].map((ms) => `${seconds(ms)} s`),
      attempts.toFixed(1),
      whole(knocks.reduce((a, b) => Math.max(a, b), 0)),
      `${(unheard * 100).toFixed(0)} %`,
    ];
    return `| ${cells.join(" | ")} |`;
  }),
].join("\n");
console.log(table);

const drawn = SCENARIOS.flatMap(({ line }, i) =>
  line ? [{ name: line, points: outcomes[i]!.knocks.map((value, second) => [second, value] as const) }] : [],
);
if (options.write) {
  const docs = new URL("../docs/", import.meta.url);
  const page = new URL("capacity.md", docs);
  const about =
    `${whole(readers)} readers on ${whole(servers)} servers that take ${whole(site.takenPerSecond)} each second, with ${whole(site.backlog)} waiting at the door of each; ` +
    "times from the moment when a reader notices that it is cut off. Each attempt of a client knocks, and its system knocks again 1, 3 and 7 s later while nothing " +
    "answers; after 10 s the client gives up. At a full door: the share of knocks, once the servers are there, that get no answer.";
  writeFileSync(page, between(readFileSync(page, "utf8"), "storm", `${about}\n\n${table}`));
  execFileSync("biome", ["format", "--write", page.pathname], { stdio: "ignore" });
  const chart = lineChart({
    title: `${whole(readers)} readers come back`,
    unit: "knocks (attempts to connect, and their repetitions) in each second, all servers together",
    x: "seconds",
    until: 60,
    lines: drawn,
  });
  writeFileSync(new URL("storm.svg", docs), chart);
}
