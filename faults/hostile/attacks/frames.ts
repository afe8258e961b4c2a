/** Strangers on a WebSocket who send what no browser sends. */
import { deflateRawSync } from "node:zlib";
import { type Attack, CHANNEL, type FloodOptions, flood, many, newAddress, SOON_MS } from "../attack.ts";
import { type Ending, type FrameParts, frame, wsStranger } from "../stranger.ts";

const withFrames =
  (...parts: readonly FrameParts[]): Attack["run"] =>
  async ({ port }, scale) => {
    const from = newAddress();
    return many(100 * scale, async () => {
      const one = await wsStranger(port, from, CHANNEL);
      for (const part of parts) await one.send(frame(part));
      return one.ending(SOON_MS);
    });
  };

interface FrameFloodOptions extends FloodOptions {
  /** Of the handshake. */
  readonly headers?: string;
  /** How often all but the first are in one write. */
  readonly times?: number;
}

/** The first once, then the rest again and again. */
const withFlood =
  (
    parts: readonly FrameParts[],
    { headers = "", times = 1_000, ...options }: FrameFloodOptions = {},
  ): Attack["run"] =>
  async ({ port }, scale) => {
    const from = newAddress();
    const [first, ...rest] = parts.map(frame);
    const bulk = Buffer.concat(Array.from({ length: times }, () => Buffer.concat(rest)));
    return many(10 * scale, async () => {
      const one = await wsStranger(port, from, CHANNEL, { headers, isStubborn: true });
      await one.send(first!);
      return flood(one, bulk, options);
    });
  };

const DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

const text = (content: string): Buffer => Buffer.from(content);

async function bombs(port: number, n: number, headers?: string): Promise<readonly Ending[]> {
  const from = newAddress();
  const bomb = frame({ opcode: 1, rsv1: true, payload: deflateRawSync(Buffer.alloc(2_000_000)) });
  return many(n, async () => {
    const one = await wsStranger(port, from, CHANNEL, headers === undefined ? {} : { headers });
    await one.send(bomb);
    return one.ending(SOON_MS);
  });
}

export const FRAMES: readonly Attack[] = [
  {
    name: "a frame that says it has 4 GB",
    ends: [1009],
    run: withFrames({ opcode: 2, length: 2 ** 32, payload: Buffer.alloc(1_000) }),
  },
  {
    name: "a message in fragments without end",
    ends: [1009],
    run: withFlood(
      [
        { opcode: 1, fin: false, payload: text("a") },
        { opcode: 0, fin: false, payload: text("a".repeat(100)) },
      ],
      { reads: true },
    ),
  },
  {
    name: "empty fragments without end",
    ends: [1008],
    run: withFlood(
      [
        { opcode: 1, fin: false },
        { opcode: 0, fin: false },
      ],
      { reads: true },
    ),
  },
  {
    name: "a compression bomb",
    ends: [1009],
    run: ({ port }, scale) => bombs(port, 100 * scale, DEFLATE),
  },
  {
    name: "compressed messages of 15,000 empty fragments, without end",
    ends: [1008],
    run: withFlood(
      [
        { opcode: 1, fin: false, rsv1: true },
        ...Array.from({ length: 15_000 }, (): FrameParts => ({ opcode: 0, fin: false })),
        { opcode: 0 },
        { opcode: 1, fin: false, rsv1: true },
      ],
      { reads: true, headers: DEFLATE, times: 5 },
    ),
  },
  {
    name: "a compressed frame that nobody agreed to",
    ends: [1002],
    run: ({ port }, scale) => bombs(port, 100 * scale),
  },
  {
    name: "frames without a mask",
    ends: [1002],
    run: withFrames({ opcode: 1, masked: false, payload: text("hello") }),
  },
  {
    name: "text that is not UTF-8",
    ends: [1007],
    run: withFrames({ opcode: 1, payload: Buffer.from([0xff, 0xfe, 0xc0]) }),
  },
  {
    name: "messages without end",
    ends: [1008],
    run: withFlood(
      [
        { opcode: 1, payload: text("a") },
        { opcode: 1, payload: text("hello") },
      ],
      { reads: true },
    ),
  },
  {
    name: "pings without end, the pongs not read",
    ends: [1008, "cut off"],
    run: withFlood([{ opcode: 9 }, { opcode: 9, payload: Buffer.alloc(125) }]),
  },
  {
    name: "pings without end, the pongs read",
    ends: [1008, "cut off"],
    run: withFlood([{ opcode: 9 }, { opcode: 9, payload: Buffer.alloc(125) }], { reads: true }),
  },
  {
    name: "pongs that nobody asked for, without end",
    ends: [1008],
    run: withFlood([{ opcode: 10 }, { opcode: 10 }], { reads: true }),
  },
  {
    name: "more without end, after its own close",
    ends: [1005],
    run: withFlood([{ opcode: 8 }, { opcode: 1, payload: text("hello") }], { reads: true }),
  },
];
