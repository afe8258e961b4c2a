/** What a Wagtail Live site publishes, as an update. */
import { TidingsError } from "../errors.ts";
import { type Draft, draftUpdate } from "../protocol.ts";

/** A larger message is not read. */
export const MAX_MESSAGE_BYTES: number = 8 * 1024 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads the JSON of a message: `{"renders":{"<id>":{"show":…,"content":…}},"removals":["<id>"]}`; renders keep the order
 * they have in the text, oldest first. Throws `invalid`, naming what is wrong.
 *
 * @example
 * readMessage(Buffer.from('{"renders":{},"removals":["7"]}'));
 */
export function readMessage(data: Uint8Array): Draft {
  if (data.byteLength > MAX_MESSAGE_BYTES) {
    throw invalid(`a message of ${data.byteLength} bytes; at most ${MAX_MESSAGE_BYTES} are read`);
  }
  let text: string;
  try {
    text = utf8.decode(data);
  } catch {
    throw invalid("a message that is no UTF-8 text");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("a message that is no JSON");
  }
  return toDraft(value, text);
}

/** @param text The JSON that the value came from, for the order of ids that look like integers. */
function toDraft(value: unknown, text: string): Draft {
  if (typeof value !== "object" || value === null || !("renders" in value) || !("removals" in value)) {
    throw invalid("a message without renders and removals");
  }
  const { renders, removals } = value;
  const isObject = typeof renders === "object" && renders !== null && !Array.isArray(renders);
  if (!isObject || !Object.keys(renders).some(isInteger)) {
    return draftUpdate(renders, removals);
  }
  const byId = renders as Readonly<Record<string, unknown>>;
  return draftUpdate(new Map(keysOfRenders(text).map((id) => [id, byId[id]])), removals);
}

/** `JSON.parse` puts such keys first. */
const isInteger = (id: string): boolean => /^(?:0|[1-9]\d{0,9})$/.test(id);

/** The keys of the object under `renders`, in the order of the text, which is known to be JSON. */
function keysOfRenders(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  let isRenders = false;
  for (const [token, string] of text.matchAll(/("(?:[^"\\]|\\.)*")(?=\s*:)|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (string !== undefined) {
      const key: string = JSON.parse(string);
      if (depth === 1) isRenders = key === "renders";
      else if (depth === 2 && isRenders) keys.push(key);
    }
  }
  return keys;
}

function invalid(detail: string): TidingsError {
  return new TidingsError("invalid", detail, { where: "relay" });
}
