/** What was measured, as Markdown and as charts. */
import { type BarChart, barChart } from "./chart.ts";
import type { Section } from "./section.ts";
import { median, spread } from "./stats.ts";

/** Where and when a section was measured, and how quiet it was. */
export interface Circumstances {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  readonly turns: number;
  /** Of other programs and this, the least and the most. */
  readonly load: readonly [number, number];
  /** The share of its time that the host took from this machine. */
  readonly stolen: number;
  readonly minutes: number;
  readonly leftOut: readonly string[];
}

/** A section, and when it was measured. */
export interface Kept {
  readonly section: Section;
  readonly about: Circumstances;
}

/** What was kept, with each section that was measured anew in the place of its old one. */
export function replaced(kept: readonly Kept[], fresh: readonly Kept[]): Kept[] {
  const byId = new Map(kept.map((one) => [one.section.id, one]));
  for (const one of fresh) byId.set(one.section.id, one);
  return [...byId.values()];
}

/** A picture of a section's column: a file beside the document. */
export interface Chart {
  readonly section: string;
  readonly file: string;
  /** How the column's name begins. */
  readonly column: string;
  readonly unit: string;
}

export function toMarkdown(kept: readonly Kept[], charts: readonly Chart[] = []): string {
  return kept
    .flatMap(({ section, about }) => [
      `${tableOf(section)}\n\n${circumstances(about)}`,
      ...charts
        .filter((chart) => chart.section === section.id)
        .map(({ file, column }) => `![${section.title}: ${column}](${file})`),
    ])
    .join("\n\n");
}

function circumstances(about: Circumstances): string {
  const { date, cpu, cores, kernel, node, turns, load, stolen, leftOut } = about;
  const [least, most] = load.map((value) => value.toFixed(1));
  return (
    `_${date}; ${cores} × ${cpu}, Linux ${kernel}, Node ${node}; ${turns} turns, median (least–most). Load average ` +
    `${least}–${most} (server and client alone make 2), ${(stolen * 100).toFixed(1)} % of the time taken by the host.` +
    `${leftOut.length > 0 ? ` Left out: ${leftOut.join("; ")}.` : ""}_`
  );
}

export function tableOf({ title, about, columns, rows }: Section): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    `### ${title}\n\n${about}\n`,
    line(["", ...columns.map(({ name }) => name)]),
    line(["---", ...columns.map(() => "---")]),
    ...rows.map(({ name, cells }) =>
      line([name, ...columns.map(({ digits }, i) => spread(cells[i] ?? [], digits))]),
    ),
  ].join("\n");
}

export function chartOf(section: Section, chart: Chart): string {
  const { unit } = chart;
  const column = section.columns.findIndex(({ name }) => name.startsWith(chart.column));
  const bars = section.rows.map(({ name, cells }): BarChart["bars"][number] => {
    const values = cells[column]!;
    return {
      name: name.replaceAll(/[*`]/g, ""),
      value: median(values),
      range: [Math.min(...values), Math.max(...values)],
      isOurs: name.startsWith("**"),
    };
  });
  return barChart({ title: section.title, unit, bars });
}

/** Puts `text` between the two marks of a document. */
export function between(document: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`no ${begin} … ${end}`);
  return `${document.slice(0, from + begin.length)}\n\n${text}\n\n${document.slice(to)}`;
}
