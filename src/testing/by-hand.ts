/** WebSocket by hand, for what libraries do not say or show. */

/** The first byte of a frame that closes. */
export const CLOSE = 0x88;
/** One of a reader, with code 1000. */
export const MASKED_CLOSE: Buffer = Buffer.from([CLOSE, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

export function handshake(path: string, host: string): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
  );
}

/** The first bytes of the frames behind the answer to a handshake: of those that have come to more than their head. */
export function kindsOfFrames(answer: Buffer): number[] {
  const kinds: number[] = [];
  const begin = answer.indexOf("\r\n\r\n");
  if (begin < 0) return kinds;
  for (let at = begin + 4; at + 10 <= answer.length || answer[at + 1]! < 126; ) {
    kinds.push(answer[at]!);
    const size = answer[at + 1]!;
    if (size < 126) at += 2 + size;
    else if (size === 126) at += 4 + answer.readUInt16BE(at + 2);
    else at += 10 + Number(answer.readBigUInt64BE(at + 2));
  }
  return kinds;
}
