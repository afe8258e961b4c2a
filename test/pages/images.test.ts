import { deflateSync } from "node:zlib";
import type { Browser, Page as Tab } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TidingsError } from "../../src/errors.ts";
import { inspectImage } from "../../src/pages/images.ts";
import { launchBrowser } from "../support/browser.ts";

const GIF = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");
const AVIF = Buffer.from(
  "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADybWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABGgAAAB0AAAAoaWluZgAAAAAAAQAAABppbmZlAgAAAAABAABhdjAxQ29sb3IAAAAAamlwcnAAAABLaXBjbwAAABRpc3BlAAAAAAAAAAIAAAACAAAAEHBpeGkAAAAAAwgICAAAAAxhdjFDgQ0MAAAAABNjb2xybmNseAACAAIAAYAAAAAXaXBtYQAAAAAAAAABAAEEAQKDBAAAACVtZGF0EgAKCBgANogQEAwgMg8f8D///8WfhwB8+ErK42A=",
  "base64",
);

let browser: Browser;
let tab: Tab;
/** By type; those that Chromium writes are 30 × 20. */
const pictures = new Map<string, Buffer>([
  ["image/gif", GIF],
  ["image/avif", AVIF],
]);

beforeAll(async () => {
  browser = await launchBrowser();
  tab = await browser.newPage();
  for (const type of ["image/png", "image/jpeg", "image/webp"]) pictures.set(type, await draw(type));
});
afterAll(() => browser.close());

/** A picture as Chromium writes it. */
async function draw(type: string): Promise<Buffer> {
  const url = await tab.evaluate((type) => {
    const canvas = document.createElement("canvas");
    canvas.width = 30;
    canvas.height = 20;
    const context = canvas.getContext("2d")!;
    context.fillStyle = "tomato";
    context.fillRect(5, 5, 10, 10);
    return canvas.toDataURL(type);
  }, type);
  expect(url.startsWith(`data:${type};base64,`)).toBe(true);
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

/** How Chromium shows it. */
function shown(type: string, bytes: Buffer): Promise<{ width: number; height: number }> {
  return tab.evaluate(
    async (src) => {
      const image = new Image();
      image.src = src;
      await image.decode();
      return { width: image.naturalWidth, height: image.naturalHeight };
    },
    `data:${type};base64,${bytes.toString("base64")}`,
  );
}

function refusal(bytes: Uint8Array): string {
  try {
    inspectImage(bytes);
  } catch (error) {
    if (error instanceof TidingsError) return error.code;
    throw error;
  }
  return "taken";
}

/** The JPEG with an orientation (1–8) in its EXIF data. */
function turned(jpeg: Buffer, orientation: number): Buffer {
  const tiff = Buffer.from([
    0x4d,
    0x4d,
    0,
    42,
    0,
    0,
    0,
    8,
    0,
    1,
    0x01,
    0x12,
    0,
    3,
    0,
    0,
    0,
    1,
    0,
    orientation,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  const body = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), tiff]);
  const head = Buffer.from([0xff, 0xe1, 0, body.length + 2]);
  return Buffer.concat([jpeg.subarray(0, 2), head, body, jpeg.subarray(2)]);
}

/** A PNG that says it has this size. */
function pngOf(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, Buffer.from(type), data, Buffer.alloc(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync("")),
    chunk("IEND", Buffer.of()),
  ]);
}

const TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"] as const;

describe.each(TYPES)("%s", (type) => {
  test("is known by its bytes, with the size that Chromium shows", async () => {
    const bytes = pictures.get(type)!;
    expect(inspectImage(bytes)).toEqual({ type, ...(await shown(type, bytes)) });
  });

  test("is known inside a larger buffer", () => {
    const bytes = pictures.get(type)!;
    const inside = Buffer.concat([Buffer.from("GIF89a"), bytes, Buffer.from("tail")]);
    expect(inspectImage(new Uint8Array(inside.buffer, inside.byteOffset + 6, bytes.length)).type).toBe(type);
  });

  test("is refused when it was cut off, anywhere", () => {
    const bytes = pictures.get(type)!;
    for (let length = 0; length < bytes.length; length++) {
      expect([length, refusal(bytes.subarray(0, length))]).toEqual([length, "unsupported"]);
    }
  });
});

test("a JPEG turned by its EXIF data has the size that it is shown in", async () => {
  const jpeg = pictures.get("image/jpeg")!;
  for (const orientation of [1, 3, 6, 8]) {
    const bytes = turned(jpeg, orientation);
    const { width, height } = inspectImage(bytes);
    expect({ width, height }).toEqual(await shown("image/jpeg", bytes));
  }
  expect(inspectImage(turned(jpeg, 6))).toMatchObject({ width: 20, height: 30 });
});

test("a JPEG cut off behind a thumbnail that is whole is refused", () => {
  const jpeg = pictures.get("image/jpeg")!;
  const length = jpeg.length + 2;
  const thumbnail = Buffer.concat([Buffer.from([0xff, 0xe2, length >> 8, length & 255]), jpeg]);
  const whole = Buffer.concat([jpeg.subarray(0, 2), thumbnail, jpeg.subarray(2)]);
  expect(refusal(whole)).toBe("taken");
  expect(refusal(whole.subarray(0, -10))).toBe("unsupported");
});

test("a side may be 20,000 pixels long, and no longer", () => {
  expect(inspectImage(pngOf(20_000, 1))).toEqual({ type: "image/png", width: 20_000, height: 1 });
  expect(refusal(pngOf(20_001, 1))).toBe("too_large");
  expect(refusal(pngOf(1, 0x7fffffff))).toBe("too_large");
  expect(refusal(pngOf(0, 1))).toBe("unsupported");
});

test.each<[name: string, bytes: Buffer]>([
  ["nothing", Buffer.of()],
  ["text", Buffer.from("a picture, honestly")],
  ["SVG", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="3" height="2"></svg>')],
  ["SVG with its XML declaration", Buffer.from('<?xml version="1.0"?><svg width="3" height="2"></svg>')],
  ["HTML", Buffer.from("<!doctype html><script>x()</script>")],
  ["PDF", Buffer.from("%PDF-1.7\n%%EOF")],
  ["BMP", Buffer.from("424d3a0000000000000036000000280000000100000001000000010018000000000004000000", "hex")],
  ["an icon", Buffer.from("00000100010001010000010018003000000016000000", "hex")],
  ["TIFF", Buffer.from("49492a0008000000", "hex")],
  ["WAV, a RIFF too", Buffer.from("RIFF\x04\0\0\0WAVE", "latin1")],
  ["HEIC, an ISO file too", Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic", "latin1")],
  ["MP4, an ISO file too", Buffer.from("\0\0\0\x18ftypisom\0\0\0\0isommp42", "latin1")],
  ["HTML before a GIF", Buffer.concat([Buffer.from("<script>x()</script>"), GIF])],
  [
    "a PNG's signature before HTML",
    Buffer.concat([pngOf(1, 1).subarray(0, 8), Buffer.from("<script>x()</script>")]),
  ],
  ["a GIF's before HTML", Buffer.from("GIF89a<script>x()</script>")],
  ["a GIF before a ZIP", Buffer.concat([GIF, Buffer.from("PK\x05\x06")])],
])("%s is no picture", (_, bytes) => {
  expect(refusal(bytes)).toBe("unsupported");
});
