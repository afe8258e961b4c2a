/** The text in one WebSocket frame of a server; an empty one holds none. */
export function textOf(frame: Buffer): string {
  const short = frame[1] ?? 0;
  return frame.subarray(short < 126 ? 2 : short === 126 ? 4 : 10).toString();
}
