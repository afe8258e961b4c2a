/** Blocks as they come in: checked, cleaned, and limited. */
import { TidingsError } from "../errors.ts";
import type { DraftRender } from "../protocol.ts";
import type { Block, ImageBlock } from "./model.ts";
import { sanitizeHtml, sanitizePost, showsSomething } from "./sanitize.ts";
import { imageIdOfPath, isImageId, safeUrl } from "./urls.ts";

/** The most blocks a post may have. */
export const MAX_BLOCKS = 100;

/** The most bytes (UTF-8) that the blocks of a post may hold together, as sent and as kept: 1 MiB. */
export const MAX_POST_BYTES: number = 1024 * 1024;

/** The longest side of a picture, in pixels. */
export const MAX_IMAGE_SIDE = 20_000;

export interface ParseOptions {
  /** Takes `html` as it is: for a site that vouches for what it sends. Default `false`: it is sanitised. */
  readonly trustedHtml?: boolean | undefined;
}

/**
 * Checks the blocks that a caller sends as a post's `content`, sanitises `html`, and makes URLs canonical.
 *
 * Throws `invalid`, or `too_large` over {@link MAX_BLOCKS} or {@link MAX_POST_BYTES}, with the culprit's path
 * in `field`: `content.0.value`.
 *
 * @example
 * parseBlocks([{ type: "text", value: "Kick-off!" }, { type: "embed", value: "https://youtu.be/dQw4w9WgXcQ" }]);
 */
export function parseBlocks(input: unknown, options: ParseOptions = {}): Block[] {
  if (!Array.isArray(input)) throw invalid("content", "must be a list of blocks");
  if (input.length === 0) throw invalid("content", "must have at least one block");
  if (input.length > MAX_BLOCKS) throw tooLarge("content", `must have no more than ${MAX_BLOCKS} blocks`);
  const sent = input.map((block: unknown, i) => readBlock(block, `content.${i}`));
  checkSize(sent);
  const blocks = sent.map((block, i) => parseBlock(block, `content.${i}`, options));
  checkSize(blocks);
  return blocks;
}

/**
 * Checks and sanitises posts that a site rendered by itself. Throws as {@link parseBlocks} does, with the
 * culprit's path in `field`: `renders.<id>.content`.
 */
export function checkPostHtml(renders: ReadonlyMap<string, DraftRender>): ReadonlyMap<string, DraftRender> {
  return new Map(
    [...renders].map(([id, render]) => {
      const field = `renders.${id}.content`;
      if (Buffer.byteLength(render.content) > MAX_POST_BYTES) {
        throw tooLarge(field, "must be no more than 1 MiB");
      }
      const content = naming(field, () => sanitizePost(cleanText(render.content), id));
      return [id, { ...render, content }];
    }),
  );
}

/** A block of the right shape whose values are still to be judged. */
interface SentBlock {
  readonly type: Block["type"];
  readonly value: string;
  readonly alt?: string;
  readonly width?: number;
  readonly height?: number;
}

const FIELDS: Readonly<Record<Block["type"], readonly string[]>> = {
  text: ["type", "value"],
  html: ["type", "value"],
  image: ["type", "value", "alt", "width", "height"],
  embed: ["type", "value"],
};

function readBlock(block: unknown, path: string): SentBlock {
  if (typeof block !== "object" || block === null || Array.isArray(block)) {
    throw invalid(path, "must be an object { type, value }");
  }
  const { type, value, alt, width, height } = block as Record<string, unknown>;
  if (typeof type !== "string" || !Object.hasOwn(FIELDS, type)) {
    throw invalid(`${path}.type`, `must be one of: ${Object.keys(FIELDS).join(", ")}`);
  }
  const known = FIELDS[type as Block["type"]];
  const unknown = Object.keys(block).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw invalid(`${path}.${unknown}`, `is no field of a block of type "${type}"`);
  }
  if (typeof value !== "string") throw invalid(`${path}.value`, "must be a string");
  if (alt !== undefined && typeof alt !== "string") throw invalid(`${path}.alt`, "must be a string");
  return {
    type: type as Block["type"],
    value: cleanText(value),
    ...(alt !== undefined && { alt: cleanText(alt) }),
    ...(width !== undefined && { width: pixels(width, `${path}.width`) }),
    ...(height !== undefined && { height: pixels(height, `${path}.height`) }),
  };
}

function parseBlock(block: SentBlock, path: string, options: ParseOptions): Block {
  const { type, value } = block;
  const field = `${path}.value`;
  if (value.trim() === "") throw invalid(field, "must not be empty");
  switch (type) {
    case "text":
      return { type, value };
    case "html":
      return { type, value: options.trustedHtml === true ? value : parseHtml(value, field) };
    case "embed": {
      const url = safeUrl(value.trim());
      if (url === null) throw invalid(field, "must be an http or https URL");
      return { type, value: url };
    }
    case "image":
      return parseImage(block, field);
  }
}

function parseHtml(value: string, field: string): string {
  const clean = naming(field, () => sanitizeHtml(value));
  if (!showsSomething(clean)) throw invalid(field, "has nothing to show once unsafe HTML is removed");
  return clean;
}

function parseImage({ value, alt = "", width, height }: SentBlock, field: string): ImageBlock {
  const source = value.trim();
  const id = isImageId(source) ? source : imageIdOfPath(source);
  const image = id ?? safeUrl(source);
  if (image === null) throw invalid(field, "must be the id of an uploaded picture, or an http or https URL");
  return {
    type: "image",
    value: image,
    alt,
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** HTML can hold neither control characters nor lone surrogates: a browser would show something else than we keep. */
function cleanText(text: string): string {
  return text.toWellFormed().replace(/\r\n?/g, "\n").replace(CONTROLS, "");
}

function pixels(value: unknown, field: string): number {
  if (Number.isInteger(value) && (value as number) > 0 && (value as number) <= MAX_IMAGE_SIDE) {
    return value as number;
  }
  throw invalid(field, `must be a number of pixels from 1 to ${MAX_IMAGE_SIDE}`);
}

function checkSize(blocks: readonly (SentBlock | Block)[]): void {
  let bytes = 0;
  for (const block of blocks) {
    bytes += Buffer.byteLength(block.value);
    if ("alt" in block) bytes += Buffer.byteLength(block.alt ?? "");
  }
  if (bytes > MAX_POST_BYTES) throw tooLarge("content", "must hold no more than 1 MiB in all its blocks");
}

/** What `check` throws, with the name of the field that it checked. */
function naming<T>(field: string, check: () => T): T {
  try {
    return check();
  } catch (cause) {
    if (!(cause instanceof TidingsError)) throw cause;
    throw new TidingsError(cause.code, `${field}: ${cause.detail}`, { field, cause });
  }
}

function invalid(field: string, rule: string): TidingsError {
  return new TidingsError("invalid", `${field} ${rule}`, { field });
}

function tooLarge(field: string, rule: string): TidingsError {
  return new TidingsError("too_large", `${field} ${rule}`, { field });
}
