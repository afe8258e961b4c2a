/** HTML that is safe by construction: what is put into a template is escaped, unless it is HTML already. */

/** A piece of HTML. Made by {@link html} or, from a string that is trusted, by {@link raw}. */
export class Html {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type HtmlValue = string | number | Html | false | null | undefined | readonly HtmlValue[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes text for HTML, both between tags and inside a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

/** Takes a string for HTML as it is. Only for what was escaped or sanitised. */
export function raw(text: string): Html {
  return new Html(text);
}

/**
 * A template of HTML: strings and numbers are escaped, pieces of HTML and lists of them are put in as they
 * are, and `false`, `null` and `undefined` leave nothing. Attributes must be quoted.
 *
 * @example
 * String(html`<a href="${url}">${title}</a>`);
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = strings[0]!;
  for (const [i, value] of values.entries()) text += toText(value) + strings[i + 1]!;
  return new Html(text);
}

function toText(value: HtmlValue): string {
  if (value === false || value === null || value === undefined) return "";
  if (typeof value === "string") return escapeHtml(value);
  if (Array.isArray(value)) return (value as readonly HtmlValue[]).map(toText).join("");
  return String(value);
}

/**
 * A JavaScript string literal that may stand in an inline script: nothing in it can end the string or the script.
 *
 * @example
 * scriptString("</script>"); // "\u003c/script\u003e" with its quotes
 */
export function scriptString(text: string): Html {
  return raw(
    JSON.stringify(text).replace(
      /[<>&'\u2028\u2029]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    ),
  );
}
