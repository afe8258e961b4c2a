/** What an uploaded picture is, told by its bytes alone: never by its name or by what the sender claims. */
import { imageSize } from "image-size";
import { TidingsError } from "../errors.ts";
import { MAX_IMAGE_SIDE } from "./blocks.ts";
import type { Image } from "./model.ts";

interface Format {
  readonly type: Image["type"];
  readonly starts: (bytes: Buffer) => boolean;
  /** Whether the file reaches its end: what was cut off on the way is no picture. */
  readonly ends: (bytes: Buffer) => boolean;
}

const PNG_SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1");

const FORMATS: readonly Format[] = [
  {
    type: "image/png",
    starts: (bytes) => bytes.subarray(0, 16).equals(PNG_SIGNATURE),
    ends: (bytes) => pngEnds(bytes),
  },
  {
    type: "image/jpeg",
    starts: (bytes) => bytes.subarray(0, 3).equals(Buffer.of(0xff, 0xd8, 0xff)),
    ends: (bytes) => jpegEnds(bytes),
  },
  {
    type: "image/gif",
    starts: (bytes) => ["GIF87a", "GIF89a"].includes(ascii(bytes, 0, 6)),
    ends: (bytes) => bytes.length > 13 && bytes.at(-1) === 0x3b,
  },
  {
    type: "image/webp",
    starts: (bytes) => ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP",
    ends: (bytes) => bytes.length >= bytes.readUInt32LE(4) + 8,
  },
  {
    type: "image/avif",
    starts: (bytes) => ascii(bytes, 4, 8) === "ftyp" && brands(bytes).includes("avif"),
    ends: (bytes) => boxesEnd(bytes),
  },
];

/**
 * The format and size of a picture, as browsers show it (turned as its EXIF data says).
 *
 * Throws `unsupported` for what is no whole PNG, JPEG, GIF, WebP or AVIF, and `too_large` when a side is over
 * {@link MAX_IMAGE_SIDE} pixels.
 *
 * @example
 * inspectImage(await readFile("goal.jpg")); // { type: "image/jpeg", width: 1600, height: 900 }
 */
export function inspectImage(data: Uint8Array): Pick<Image, "type" | "width" | "height"> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const format = FORMATS.find(({ starts }) => starts(bytes));
  if (format === undefined) throw unsupported("a picture must be PNG, JPEG, GIF, WebP or AVIF");
  if (!complete(format, bytes)) throw unsupported("the picture is cut off or damaged");
  const { width, height } = measure(bytes);
  if (Math.max(width, height) > MAX_IMAGE_SIDE) {
    throw new TidingsError("too_large", `a picture may be no more than ${MAX_IMAGE_SIDE} pixels a side`);
  }
  return { type: format.type, width, height };
}

function measure(bytes: Buffer): { width: number; height: number } {
  try {
    const { width, height, orientation = 1 } = imageSize(bytes);
    if (width > 0 && height > 0) {
      return orientation < 5 ? { width, height } : { width: height, height: width };
    }
  } catch (cause) {
    throw unsupported("the picture is cut off or damaged", cause);
  }
  throw unsupported("the picture has no size");
}

function complete(format: Format, bytes: Buffer): boolean {
  try {
    return format.ends(bytes);
  } catch (error) {
    // Reading past the end is what a cut-off file comes to.
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Walks the chunks to IEND. */
function pngEnds(bytes: Buffer): boolean {
  let at = 8;
  while (ascii(bytes, at + 4, at + 8) !== "IEND") at += 12 + bytes.readUInt32BE(at);
  return bytes.length >= at + 12;
}

/** Walks the segments to the start of the scan (an EXIF thumbnail has an end of its own), then looks for the end of the image. */
function jpegEnds(bytes: Buffer): boolean {
  let at = 2;
  while (bytes.readUInt16BE(at) !== 0xffda) {
    if (bytes[at] !== 0xff) return false;
    at += bytes[at + 1] === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return bytes.indexOf(Buffer.of(0xff, 0xd9), at) !== -1;
}

/** Whether the file's boxes (ISO base media) fill it to the end, the picture's data (`mdat`) among them. */
function boxesEnd(bytes: Buffer): boolean {
  let hasData = false;
  let at = 0;
  while (at < bytes.length) {
    hasData ||= ascii(bytes, at + 4, at + 8) === "mdat";
    const size = bytes.readUInt32BE(at);
    // 0: the rest of the file; 1: the size follows in 64 bits.
    const length = size === 0 ? bytes.length - at : size === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : size;
    if (length < 8) return false;
    at += length;
  }
  return hasData && at === bytes.length;
}

/** The brands that an ISO base media file claims: its major one and those it is compatible with. */
function brands(bytes: Buffer): string[] {
  const end = Math.min(bytes.readUInt32BE(0), bytes.length, 256);
  const found = [ascii(bytes, 8, 12)];
  for (let at = 16; at + 4 <= end; at += 4) found.push(ascii(bytes, at, at + 4));
  return found;
}

function ascii(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("latin1", start, end);
}

function unsupported(message: string, cause?: unknown): TidingsError {
  return new TidingsError("unsupported", message, cause === undefined ? {} : { cause });
}
