import { describe, expect, it } from "vitest";
import { lineChart } from "../../bench/chart.ts";
import { between, type Circumstances, chartOf, replaced, tableOf, toMarkdown } from "../../bench/report.ts";
import type { Section } from "../../bench/section.ts";

const SECTION: Section = {
  id: "fan-out-1000",
  title: "Fan-out",
  about: "About it.",
  columns: [
    { name: "1 outstanding", digits: 1 },
    { name: "4 outstanding", digits: 2 },
  ],
  rows: [
    { id: "ws", name: "`ws` <loop>, not Tidings", cells: [[10], [11, 12, 10]] },
    { id: "tidings", name: "**Tidings**", cells: [[8], [3, 2.5, 2.9]] },
  ],
};

describe("the report of the bench", () => {
  it("is a table of medians and ranges", () => {
    expect(tableOf(SECTION)).toContain("| **Tidings** | 8.0 | 2.90 (2.50–3.00) |");
  });

  it("keeps what was not measured again, each with its own circumstances", () => {
    const about = (date: string): Circumstances => ({
      ...{
        date,
        cpu: "CPU",
        cores: 2,
        kernel: "6.1",
        node: "24.0.0",
        turns: 5,
        load: [1, 2.5],
        stolen: 0.01,
      },
      ...{ minutes: 3, leftOut: ["Bun (not installed)"] },
    });
    const other = { ...SECTION, id: "idle", title: "Idle" };
    const old = [SECTION, other].map((section) => ({ section, about: about("2026-01-01") }));
    const kept = replaced(old, [{ section: SECTION, about: about("2026-02-02") }]);
    expect(kept.map(({ section, about }) => [section.id, about.date])).toEqual([
      ["fan-out-1000", "2026-02-02"],
      ["idle", "2026-01-01"],
    ]);
    expect(toMarkdown(kept)).toContain("Load average 1.0–2.5 (server and client alone make 2), 1.0 %");
    expect(toMarkdown(kept)).toContain("Left out: Bun (not installed).");
  });

  it("draws a bar a row, the shortest first, ours in its colour", () => {
    const svg = chartOf(SECTION, {
      section: SECTION.id,
      file: "a.svg",
      column: "4 outstanding",
      unit: "seconds",
    });
    expect(svg.match(/class="bar[^"]*"/g)).toEqual(['class="bar ours"', 'class="bar"']);
    expect(svg).toContain("ws &#60;loop&#62;");
    expect(svg).toContain("prefers-color-scheme: dark");
  });

  it("draws lines up to where the axis ends", () => {
    const line = { name: "a", points: [0, 1, 2, 3].map((x) => [x, x * 7] as const) };
    const svg = lineChart({ title: "t", unit: "u", x: "s", lines: [line], until: 2 });
    expect(svg.match(/d="M70\.0[^"]*"/)![0].match(/L/g)).toHaveLength(2);
  });

  it("replaces what stands between two marks, and nothing else", () => {
    const page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
    expect(between(page, "x", "new")).toBe("a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n");
    expect(() => between(page, "y", "new")).toThrow("y: begin");
  });
});
