/** What a Wagtail Live site publishes, as an update. */
import { TidingsError } from "../errors.ts";
import { type Draft, type DraftRender, draftUpdate } from "../protocol.ts";

/** A larger message is not read. */
export const MAX_MESSAGE_BYTES: number = 8 * 1024 * 1024;

/** How many mistakes in one message are told, and how long each may be, in characters. */
const MAX_TOLD = 5;
const MAX_TOLD_LENGTH = 200;

/** What is good in a message. */
export interface ReadMessage {
  readonly draft: Draft;
  /** What is wrong with the rest. */
  readonly leftOut?: TidingsError;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads the JSON of a message: `{"renders":{"<id>":{"show":…,"content":…}},"removals":["<id>"]}`; renders keep the order
 * they have in the text, oldest first. One post that is none keeps the others from nobody. Throws `invalid` when nothing in
 * it is an update, naming what is wrong.
 *
 * @example
 * readMessage(Buffer.from('{"renders":{},"removals":["7"]}'));
 */
export function readMessage(data: Uint8Array): ReadMessage {
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
  const { renders, removals } = Object(value) as { readonly renders?: unknown; readonly removals?: unknown };
  const isObject = typeof renders === "object" && renders !== null && !Array.isArray(renders);
  if (!isObject || !Object.keys(renders).some(isInteger)) return readUpdate(renders, removals);
  const byId = renders as Readonly<Record<string, unknown>>;
  return readUpdate(new Map(keysOfRenders(text).map((id) => [id, byId[id]])), removals);
}

/**
 * What is good in an update, post by post. Where the original's script understands what is meant, so do we: a hidden
 * post without content, a removed one by its number, one of the two keys alone. Throws `invalid` when nothing is.
 */
export function readUpdate(renders: unknown, removals: unknown): ReadMessage {
  if (renders === undefined && removals === undefined)
    throw invalid("a message without renders and removals");
  const posts = new Map<string, DraftRender>();
  const gone = new Set<string>();
  const wrong: string[] = [];

  function attempt(one: () => void): void {
    try {
      one();
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error;
      // In one line, whatever a post is called.
      wrong.push(error.detail.slice(0, MAX_TOLD_LENGTH).replace(/\s+/g, " "));
    }
  }

  attempt(() => {
    for (const [id, render] of entriesOf(renders ?? {})) {
      attempt(() => {
        const draft = draftUpdate(new Map([[id, withContent(render)]]));
        for (const [key, post] of draft.renders) posts.set(key, post);
      });
    }
  });
  attempt(() => {
    const list = removals ?? [];
    if (!Array.isArray(list)) throw invalid("removals must be a list of post ids");
    for (const [i, id] of list.entries()) {
      attempt(() => {
        if (typeof id !== "string" && !Number.isSafeInteger(id)) {
          throw invalid(`removals.${i} must be a post id, not ${JSON.stringify(id)}`);
        }
        for (const each of draftUpdate({}, [String(id)]).removals) gone.add(each);
      });
    }
  });

  if (wrong.length === 0) return { draft: { renders: posts, removals: [...gone] } };
  const more = wrong.length > MAX_TOLD ? `; and ${wrong.length - MAX_TOLD} more` : "";
  const told = `${wrong.slice(0, MAX_TOLD).join("; ")}${more}`;
  if (posts.size + gone.size === 0) throw invalid(told);
  return {
    draft: { renders: posts, removals: [...gone] },
    leftOut: invalid(`a part of a message was left out: ${told}`),
  };
}

function entriesOf(renders: unknown): Iterable<[id: string, render: unknown]> {
  if (renders instanceof Map) return renders;
  if (Array.isArray(renders)) return renders.map((item) => [Object(item).id, item]);
  if (typeof renders === "object" && renders !== null) return Object.entries(renders);
  throw invalid("renders must be an object of renders by post id");
}

function withContent(render: unknown): unknown {
  const { show, content } = Object(render) as { readonly show?: unknown; readonly content?: unknown };
  return show === false && (content ?? "") === "" ? { show, content: "" } : render;
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
