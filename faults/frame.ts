/** What a server sends, as PROTOCOL.md has it (3): for readers that share no code with `src/`. */
export interface Frame {
  readonly renders: Readonly<Record<string, { show: boolean; content: string; at: number }>>;
  readonly removals: readonly string[];
  readonly cursor?: string;
  readonly reset?: boolean;
  readonly retry?: readonly [number, number];
}
