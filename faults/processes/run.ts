/**
 * Real processes under seeded faults: three `tidings serve`, Postgres, a bus, readers over every transport and in Chromium.
 * Ends with 1 when a reader's page was ever not the newsroom's.
 *
 * npm run faults [-- --buses redis,nats --schedules 13 --faults 12 --readers 45 --tabs 3 --seed 1 --parallel 2
 *                    --only "bus killed" --json report.json --markdown report.md --merge earlier.json
 *                    --evidence folder]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "../../test/support/at-exit.ts";
import { launchBrowser } from "../../test/support/browser.ts";
import { endOnSignals } from "../ending.ts";
import { oneOf, readFlags, refuse, wholeNumber, writableFile, writableFolder } from "../flags.ts";
import { need } from "../needs.ts";
import { FAULTS } from "./faults.ts";
import { BREACHES, breaches, machine, type Report, toMarkdown } from "./report.ts";
import { type Outcome, runSchedule } from "./run-schedule.ts";

const BUSES = ["redis", "nats", "postgres", "rabbitmq"] as const;
endOnSignals();
const values = readFlags({
  buses: { type: "string", default: BUSES.join() },
  schedules: { type: "string", default: "1" },
  faults: { type: "string", default: "12" },
  readers: { type: "string", default: "45" },
  tabs: { type: "string", default: "3" },
  seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
  only: { type: "string", multiple: true, default: [] },
  parallel: { type: "string", default: "1" },
  evidence: { type: "string", default: tmpdir() },
  json: { type: "string" },
  markdown: { type: "string" },
  merge: { type: "string", multiple: true, default: [] },
});

const buses = values.buses.split(",").map((name) => oneOf("--buses", name, BUSES));
const number = (name: "schedules" | "faults" | "readers" | "tabs" | "seed" | "parallel", least = 0) =>
  wholeNumber(`--${name}`, values[name], { least });
const [schedules, faults, readers] = [number("schedules", 1), number("faults"), number("readers", 1)];
const [tabs, seed, parallel] = [number("tabs"), number("seed"), number("parallel", 1)];
for (const name of values.only) oneOf("--only", name, Object.keys(FAULTS));
writableFile("--json", values.json);
writableFile("--markdown", values.markdown);
writableFolder("--evidence", values.evidence);
const outcomes = values.merge.flatMap(earlier);
need("postgres", ...buses, ...(tabs > 0 ? (["chromium"] as const) : []));
/** What makes the same schedules again, whichever of them. */
const same = `--faults ${faults} --readers ${readers} --tabs ${tabs}${values.only.map((name) => ` --only "${name}"`).join("")}`;

// A seed of its own for each, so that no two buses meet the same.
const queue = Array.from({ length: schedules * buses.length }, (_, n) => ({
  bus: buses[n % buses.length]!,
  seed: seed + n,
}));
const browser = tabs > 0 ? await launchBrowser(folderOfBrowser()) : undefined;

/** What a report of before found. */
function earlier(file: string): readonly Outcome[] {
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as Report).outcomes;
  } catch (error) {
    return refuse(`--merge: ${file} is no report: ${(error as Error).message}`);
  }
}

async function worker(): Promise<void> {
  for (let one = queue.shift(); one; one = queue.shift()) {
    const again = `npm run faults -- --buses ${one.bus} --seed ${one.seed} ${same}`;
    const evidence = join(values.evidence, `tidings-faults-${one.bus}-${one.seed}.json`);
    const lines: string[] = [];
    try {
      const outcome = await runSchedule({
        ...one,
        only: values.only,
        evidence,
        faults,
        readers,
        tabs,
        browser,
        tell: (line) => lines.push(line),
      });
      outcomes.push(outcome);
      const counts = BREACHES.map((name) => `${outcome.verdict[name].length} ${name}`).join(", ");
      console.log(
        `${one.bus}, seed ${one.seed}: ${outcome.faults.length} faults in ${outcome.seconds} s, ${outcome.changes} changes, ${outcome.reconnects} reconnects, ${outcome.resets} resets and ${outcome.pageResets} in Chromium: ${counts}`,
      );
      if (breaches(outcome) > 0) {
        for (const name of BREACHES)
          for (const breach of outcome.verdict[name].slice(0, 10)) console.log(`  ${name}: ${breach}`);
        console.log(`${lines.join("\n")}\n  what was seen: ${evidence}\n  again: ${again}`);
        process.exitCode = 1;
      } else if (outcome.faults.some(({ toEquality }) => toEquality.includes(null))) {
        console.log(`  "never" of readers that were equal in the end; what was seen: ${evidence}`);
      }
    } catch (error) {
      console.error(
        `${one.bus}, seed ${one.seed} broke off:`,
        error,
        `\n${lines.join("\n")}\n  again: ${again}`,
      );
      process.exitCode = 1;
    }
    if (outcomes.length > 0) save();
  }
}

/** Chromium, when it is killed, leaves what it has there. */
function folderOfBrowser(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidings-faults-chromium-"));
  atExit(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

function save(): void {
  const command = `npm run faults -- --buses ${values.buses} --schedules ${schedules} --seed ${seed} --parallel ${parallel} ${same}`;
  const report: Report = { command, machine: machine(), outcomes };
  try {
    if (values.json) writeFileSync(values.json, `${JSON.stringify(report)}\n`);
    if (values.markdown) writeFileSync(values.markdown, toMarkdown(report));
  } catch (error) {
    // The schedules that are left are worth more; it is tried again after each, and all is printed at the end.
    console.error("the report could not be written:", error);
    process.exitCode = 1;
  }
}

await Promise.all(Array.from({ length: parallel }, worker));
await browser?.close();
console.log(toMarkdown({ command: "npm run faults", machine: machine(), outcomes }));
// What a schedule that broke off has left behind must keep nobody waiting.
process.exit();
