/** Charts as SVG, readable on a light page and on a dark one. */

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** From the least to the most of the turns. */
  readonly range?: readonly [least: number, most: number];
  readonly isOurs?: boolean;
}

export interface BarChart {
  readonly title: string;
  /** What the length of a bar is. */
  readonly unit: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 760;
const VALUES = 60;
/** Of the names of bars, a little more than a letter takes on average. */
const LETTER = 7.5;
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .quiet { fill: #57606a; font-size: 12px }
  .bar { fill: #8c959f }
  .ours { fill: #0a7f6f }
  .line { stroke: #0a7f6f; fill: none; stroke-width: 2 }
  .other { stroke: #bc4c00 }
  .third { stroke: #6639ba }
  .range, .axis { stroke: #57606a; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .bar { fill: #6e7681 }
    .ours { fill: #2dd4bf }
    .line { stroke: #2dd4bf }
    .other { stroke: #ffa657 }
    .third { stroke: #d2a8ff }
    .range, .axis { stroke: #9198a1 }
  }`;

/** Bars from the left, the shortest first. */
export function barChart({ title, unit, bars }: BarChart): string {
  const sorted = bars.toSorted((a, b) => a.value - b.value);
  const most = Math.max(...sorted.map(({ value, range }) => Math.max(value, range?.[1] ?? 0)));
  const start = Math.ceil(Math.max(...sorted.map(({ name }) => name.length)) * LETTER) + 16;
  const scale = (WIDTH - start - VALUES - 20) / most;
  const rows = sorted.map(({ name, value, range, isOurs }, i) => {
    const y = 58 + i * 26;
    const at = (v: number) => (start + v * scale).toFixed(1);
    const whisker = range
      ? `<path class="range" d="M${at(range[0])} ${y + 9}H${at(range[1])}M${at(range[0])} ${y + 5}v8M${at(range[1])} ${y + 5}v8"/>`
      : "";
    const end = Math.max(value, range?.[1] ?? 0);
    return (
      `<text x="${start - 8}" y="${y + 14}" text-anchor="end"${isOurs ? ' font-weight="600"' : ""}>${escaped(name)}</text>` +
      `<rect class="bar${isOurs ? " ours" : ""}" x="${start}" y="${y}" width="${(value * scale).toFixed(1)}" height="18" rx="2"/>` +
      `${whisker}<text x="${Number(at(end)) + 6}" y="${y + 14}">${value.toFixed(value < 100 ? 1 : 0)}</text>`
    );
  });
  return svg(66 + sorted.length * 26, title, unit, rows);
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly unit: string;
  readonly x: string;
  readonly lines: readonly Line[];
  /** Of the x axis; default: the greatest x. */
  readonly until?: number;
}

const LINES = ["line", "line other", "line third"];
const [LEFT, TOP, HEIGHT] = [70, 62, 220];

export function lineChart({ title, unit, x, lines, until }: LineChart): string {
  const points = lines.flatMap((line) => line.points);
  const mostX = until ?? Math.max(...points.map((point) => point[0]));
  const mostY = niceCeiling(Math.max(...points.map((point) => point[1])));
  const right = WIDTH - 20;
  const atX = (value: number) => LEFT + (value / mostX) * (right - LEFT);
  const atY = (value: number) => TOP + HEIGHT - (value / mostY) * HEIGHT;
  const parts = [
    `<path class="axis" fill="none" d="M${LEFT} ${TOP}V${TOP + HEIGHT}H${right}"/>`,
    ...[0, 0.5, 1].map(
      (share) =>
        `<text class="quiet" x="${LEFT - 6}" y="${atY(mostY * share) + 4}" text-anchor="end">${(mostY * share).toLocaleString("en")}</text>`,
    ),
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (share) =>
        `<text class="quiet" x="${atX(mostX * share)}" y="${TOP + HEIGHT + 17}" text-anchor="middle">${(mostX * share).toLocaleString("en", { maximumFractionDigits: 0 })}</text>`,
    ),
    `<text class="quiet" x="${right}" y="${TOP + HEIGHT + 34}" text-anchor="end">${escaped(x)}</text>`,
    ...lines.map(({ name, points: of }, i) => {
      const inside = of.filter(([at]) => at <= mostX);
      const path = inside.map(([at, y], n) => `${n ? "L" : "M"}${atX(at).toFixed(1)} ${atY(y).toFixed(1)}`);
      const y = TOP + 4 + i * 18;
      return (
        `<path class="${LINES[i % LINES.length]}" d="${path.join("")}"/>` +
        `<path class="${LINES[i % LINES.length]}" d="M${right - 330} ${y}h22"/><text x="${right - 300}" y="${y + 4}">${escaped(name)}</text>`
      );
    }),
  ];
  return svg(TOP + HEIGHT + 44, title, unit, parts);
}

function niceCeiling(value: number): number {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((times) => times * step).find((nice) => nice >= value) ?? value;
}

function svg(height: number, title: string, unit: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}
</style>
<text class="title" x="12" y="24">${escaped(title)}</text>
<text class="quiet" x="12" y="43">${escaped(unit)}</text>
${parts.join("\n")}
</svg>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
