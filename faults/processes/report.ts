/** What came of all schedules, for people and for programs. */
import { arch, cpus, platform, totalmem } from "node:os";
import { FAULTS } from "./faults.ts";
import type { Outcome } from "./run-schedule.ts";

export interface Report {
  readonly command: string;
  readonly machine: string;
  readonly outcomes: readonly Outcome[];
}

export const BREACHES = ["lost", "doubled", "outOfOrder", "stale", "wrongAnswers"] as const;

export function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${cpus()[0]?.model.trim() ?? "unknown"}), ${memory} GiB, ${platform()} ${arch()}, Node ${process.version}`;
}

export function breaches({ verdict }: Outcome): number {
  return BREACHES.reduce((sum, name) => sum + verdict[name].length, 0);
}

/** Markdown. */
export function toMarkdown({ command, machine: size, outcomes }: Report): string {
  const buses = [...new Set(outcomes.map(({ bus }) => bus))];
  const total = (of: readonly Outcome[], value: (one: Outcome) => number) =>
    of.reduce((sum, one) => sum + value(one), 0);
  const rows = buses.map((bus) => {
    const own = outcomes.filter((one) => one.bus === bus);
    return [
      bus,
      own.length,
      total(own, ({ faults }) => faults.length),
      total(own, ({ changes }) => changes),
      total(own, ({ readers, tabs }) => readers + tabs),
      total(own, ({ reconnects }) => reconnects),
      total(own, ({ resets, pageResets = 0 }) => resets + pageResets),
      ...BREACHES.map((name) => total(own, ({ verdict }) => verdict[name].length)),
      megabytes(Math.max(...own.flatMap(({ peakMemory }) => Object.values(peakMemory)))),
    ];
  });
  const kinds = Object.keys(FAULTS).flatMap((name) => {
    const of = outcomes.flatMap(({ faults }) => faults.filter((fault) => fault.name === name));
    const times = of.flatMap(({ toEquality }) => toEquality.map((ms) => ms ?? Number.POSITIVE_INFINITY));
    times.sort((a, b) => a - b);
    if (times.length === 0) return [];
    const never = times.filter((ms) => ms === Number.POSITIVE_INFINITY).length;
    return [[name, of.length, ...[0.5, 0.99, 1].map((share) => seconds(quantile(times, share))), never]];
  });
  const leftOut = [...new Set(outcomes.flatMap((one) => one.leftOut))];
  return [
    `Made by \`${command}\` on ${size}${loadOf(outcomes)}.`,
    "",
    table(
      [
        "bus",
        "schedules",
        "faults",
        "changes",
        "readers",
        "reconnects",
        "resets",
        "lost",
        "doubled",
        "out of order",
        "stale",
        "wrong answers",
        "peak memory of a process",
      ],
      rows,
    ),
    "",
    "From the moment a fault was healed until a reader had all that was acknowledged by then, over all readers that were not",
    "away by their own doing (further faults went on meanwhile):",
    "",
    table(["fault", "times", "p50", "p99", "worst", "never"], kinds),
    ...leftOut.map((one) => `\nLeft out here: ${one}.`),
    "",
  ].join("\n");
}

/** The times are to be read with it. */
function loadOf(outcomes: readonly Outcome[]): string {
  const loads = outcomes.flatMap(({ load }) => load ?? []);
  if (loads.length === 0) return "";
  const [least, most] = [Math.min(...loads), Math.max(...loads)].map((load) => load.toFixed(1));
  return `, at a load of ${least === most ? least : `${least} to ${most}`} (over the last minute of each schedule)`;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
