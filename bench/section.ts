/** What a part of the bench measured, before anybody lays it out. */
export interface Section {
  readonly id: string;
  readonly title: string;
  /** What the numbers are, in a sentence or two of Markdown. */
  readonly about: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
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

/** How long to measure. */
export interface Extent {
  readonly isFull: boolean;
  readonly turns: number;
  /** Only peers that this lets through. */
  readonly includes: (id: string) => boolean;
  /** Told what is being done. */
  readonly tell: (what: string) => void;
}
