/** What strangers write where HTML is read. */
import fc from "fast-check";
import { PIECES } from "./fuzz.ts";

const TAGS = [
  ...[
    "p",
    "div",
    "a",
    "b",
    "i",
    "em",
    "code",
    "pre",
    "ul",
    "ol",
    "li",
    "table",
    "tbody",
    "tr",
    "td",
    "th",
    "caption",
  ],
  ...[
    "h1",
    "h2",
    "h6",
    "blockquote",
    "details",
    "summary",
    "figure",
    "img",
    "br",
    "hr",
    "iframe",
    "span",
    "article",
  ],
  ...[
    "script",
    "style",
    "svg",
    "math",
    "mtext",
    "mglyph",
    "annotation-xml",
    "foreignObject",
    "desc",
    "title",
    "template",
  ],
  ...[
    "noscript",
    "textarea",
    "select",
    "option",
    "xmp",
    "plaintext",
    "noembed",
    "noframes",
    "form",
    "input",
    "button",
  ],
  ...[
    "object",
    "embed",
    "base",
    "meta",
    "link",
    "body",
    "html",
    "head",
    "frameset",
    "image",
    "dropped",
    "nobr",
    "marquee",
  ],
];
const ATTRIBUTES = [
  ...[
    "onclick",
    "ONERROR",
    "style",
    "id",
    "name",
    "class",
    "srcdoc",
    "formaction",
    "xlink:href",
    "data-frame",
    "data-post-id",
  ],
  ...["href", "src", "lang", "dir", "width", "height", "alt", "target", "is", "start", "rel", "sandbox"],
];
export const VALUES: readonly string[] = [
  ...[
    "x",
    "alert(1)",
    "javascript:alert(1)",
    "JaVa\tScRiPt:alert(1)",
    "&#106;avascript:alert(1)",
    "data:text/html,<script>",
    "0",
    "1",
  ],
  ...[
    "//evil.example",
    "/images/x",
    "https://example.com/a b",
    "https://a@b.example/",
    "http:example.com",
    "mailto:a@b.example",
  ],
  ...["https://youtu.be/dQw4w9WgXcQ", "live-post", "7", '"><script>', "'", "`", "</div>", "-->", "<!--"],
];
const tag = fc
  .tuple(
    fc.constantFrom("<", "</", "< ", "<\n"),
    fc.constantFrom(...TAGS),
    fc.array(
      fc.tuple(
        fc.constantFrom(" ", "/", "\n", ""),
        fc.constantFrom(...ATTRIBUTES),
        fc.constantFrom(...VALUES),
        fc.constantFrom('"', "'", ""),
      ),
      { maxLength: 3 },
    ),
    fc.constantFrom(">", "/>", "", ">>"),
  )
  .map(
    ([open, name, attributes, close]) =>
      open +
      name +
      attributes.map(([gap, key, value, quote]) => `${gap}${key}=${quote}${value}${quote}`).join("") +
      close,
  );
/** HTML as strangers write it: tags that mean something, in any order, whole or not. */
export const htmls: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: tag },
      { weight: 2, arbitrary: fc.constantFrom(...PIECES) },
      { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
    ),
    { maxLength: 25 },
  )
  .map((all) => all.join(""));
