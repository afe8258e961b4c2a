/** What happened since the start, and what is now. Plain counts, for metrics. */
export interface HubStats {
  readonly channels: number;
  readonly readers: number;
  /** Readers that have not taken what was sent to them, or are still being told what they missed. */
  readonly lagging: number;
  readonly admitted: number;
  readonly refused: number;
  /** Answers to readers that ask now and then. */
  readonly polls: number;
  /** Frames written to readers, of any kind. */
  readonly frames: number;
  /** Updates announced by the bus that reached readers. */
  readonly updates: number;
  /** Answers to "what did I miss", by what they came to. */
  readonly catchUps: number;
  readonly resets: number;
  /** Times that the bus brought less than the log had. */
  readonly gaps: number;
}

/** Those that are counted as things happen. */
export type Counts = { -readonly [name in Exclude<keyof HubStats, "channels" | "lagging">]: number };

export function newCounts(): Counts {
  return {
    admitted: 0,
    refused: 0,
    polls: 0,
    frames: 0,
    updates: 0,
    catchUps: 0,
    resets: 0,
    gaps: 0,
    readers: 0,
  };
}
