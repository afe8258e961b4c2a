/** What a part of the bench measured, before anybody lays it out. */
export interface Section {
  readonly id: string;
  readonly title: string;
  /** What the numbers are, in a sentence or two of Markdown. */
  readonly about: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Who is not among them, and why. */
  readonly leftOut?: readonly string[];
}

export interface Column {
  readonly name: string;
  readonly digits: number;
}

export interface Row {
  readonly id: string;
  readonly name: string;
  /** A cell a column: a value of each turn. */
  readonly cells: readonly (readonly number[])[];
}

/** Values of many turns, put where they belong. */
export interface Values {
  /** A value for each column. */
  add(row: string, values: readonly number[]): void;
  /** Without those of which nothing came. */
  rows(): Row[];
}

export function valuesOf(rows: readonly Pick<Row, "id" | "name">[]): Values {
  const cells = new Map<string, number[][]>();
  return {
    add(row, values) {
      const own = cells.get(row) ?? values.map(() => []);
      cells.set(row, own);
      for (const [column, value] of values.entries()) own[column]!.push(value);
    },
    rows: () => rows.flatMap(({ id, name }) => (cells.has(id) ? [{ id, name, cells: cells.get(id)! }] : [])),
  };
}

/** There and back again (A B C, C B A, …): who comes after whom must not decide. */
export function inTurn<T>(all: readonly T[], turn: number): readonly T[] {
  return turn % 2 === 0 ? all.toReversed() : all;
}

/** How long to measure. */
export interface Extent {
  readonly isFull: boolean;
  readonly turns: number;
  /** Only peers that this lets through. */
  readonly includes: (id: string) => boolean;
  /** Told what is being done. */
  readonly tell: (what: string) => void;
}
