/** Rich text from outside: what may stay in it. */
import sanitize from "sanitize-html";
import { TidingsError } from "../errors.ts";
import { embedFrame } from "./embeds.ts";
import { imageIdOfPath, LINK_REL, safeUrl } from "./urls.ts";

/** How deep tags may nest. Parsing time grows with the square of the depth. */
export const MAX_NESTING = 100;

/** Marks the place of a frame until it is put in, whole: the sanitiser itself lets no frame through. */
const FRAME_PLACE = "data-frame";

/**
 * Keeps what rich text needs and drops the rest: no scripts, styles, forms, ids, names, classes or event
 * handlers; links and pictures only by http(s) (links also mailto, pictures also `/images/<id>`); frames only
 * of known providers, as our own sandboxed ones. What is well-formed and allowed comes back as it is.
 *
 * Throws `invalid` when tags nest deeper than {@link MAX_NESTING}.
 *
 * @example
 * sanitizeHtml('<p onclick="x()">Goal!<script>y()</script></p>'); // "<p>Goal!</p>"
 */
export function sanitizeHtml(input: string): string {
  return clean(input, RULES);
}

/**
 * The same for a whole post that a site rendered by itself: its `.live-post` markup may stay, but for a
 * `data-post-id` other than its own.
 *
 * @example
 * sanitizePost('<article class="live-post" data-post-id="7" onclick="x()">Goal!</article>', "7");
 */
export function sanitizePost(input: string, id: string): string {
  const own = (name: string, { "data-post-id": claimed, ...rest }: Record<string, string>) =>
    tag(name, claimed === id ? { ...rest, "data-post-id": id } : rest);
  return clean(input, {
    ...RULES,
    allowedTags: [...ALLOWED_TAGS, "article", "header", "footer", "span", "time"],
    allowedAttributes: {
      ...ALLOWED_ATTRIBUTES,
      time: ["datetime"],
      article: ["data-post-id"],
      div: ["data-post-id"],
    },
    allowedClasses: { "*": POST_CLASSES },
    transformTags: { article: own, div: own },
  });
}

/** Without the tags that were dropped, what is left may read in another way, once: so it is cleaned as it will be read. */
function clean(input: string, rules: sanitize.IOptions): string {
  const cleaned = cleanOnce(input, rules);
  return cleaned === input ? cleaned : cleanOnce(cleaned, rules);
}

function cleanOnce(input: string, rules: sanitize.IOptions): string {
  const frames: string[] = [];
  let depth = 0;
  const cleaned = sanitize(input, {
    ...rules,
    onOpenTag: () => {
      depth += 1;
      if (depth > MAX_NESTING) {
        throw new TidingsError("invalid", `HTML may nest no more than ${MAX_NESTING} tags deep`);
      }
    },
    onCloseTag: () => {
      depth -= 1;
    },
    transformTags: {
      ...rules.transformTags,
      h1: "h2",
      h5: "h4",
      h6: "h4",
      hr: () => tag("hr", {}),
      a: (_, { href }) => {
        const url = href === undefined ? null : safeUrl(href, ["http:", "https:", "mailto:"]);
        return tag("a", url === null ? {} : { href: url, rel: LINK_REL });
      },
      img: (_, { src = "", alt = "", width, height }) => {
        const url = imageIdOfPath(src) === null ? safeUrl(src) : src;
        if (url === null) return tag("img", {});
        return tag("img", {
          src: url,
          alt,
          ...(isPixels(width) && { width }),
          ...(isPixels(height) && { height }),
          loading: "lazy",
          decoding: "async",
        });
      },
      iframe: (_, { src = "" }) => {
        const frame = embedFrame(src);
        if (frame !== null) return tag("hr", { [FRAME_PLACE]: String(frames.push(String(frame)) - 1) });
        const url = safeUrl(src);
        if (url === null) return tag("hr", {});
        return { ...tag("a", { href: url, rel: LINK_REL }), text: url };
      },
    },
  });
  // The parser may part a tag that was cut off in the middle of a character.
  return cleaned.toWellFormed().replace(PLACES, (_, index: string) => frames[Number(index)] ?? "");
}

const PLACES = new RegExp(`<hr ${FRAME_PLACE}="(\\d+)" />`, "g");

const ALLOWED_TAGS: readonly string[] = [
  ...["p", "div", "br", "hr", "h2", "h3", "h4", "blockquote", "pre", "ul", "ol", "li"],
  ...["strong", "b", "em", "i", "u", "s", "sub", "sup", "code", "a"],
  ...["figure", "figcaption", "img", "details", "summary"],
  ...["table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"],
];

const ALLOWED_ATTRIBUTES: sanitize.IOptions["allowedAttributes"] & object = {
  "*": ["lang", "dir"],
  a: ["href", "rel"],
  img: ["src", "alt", "width", "height", "loading", "decoding"],
  ol: ["start", "reversed"],
  details: ["open"],
  th: ["colspan", "rowspan", "scope"],
  td: ["colspan", "rowspan"],
  hr: [FRAME_PLACE],
};

const POST_CLASSES: string[] = [
  ...["live-post", "live-post-meta", "live-post-created", "live-post-modified", "live-post-edited"],
  ...["live-post-content", "post-block", "post-block-*"],
];

const RULES: sanitize.IOptions = {
  allowedTags: [...ALLOWED_TAGS],
  allowedAttributes: ALLOWED_ATTRIBUTES,
  // The schemes are checked above too, as URLs; this stands behind that.
  allowedSchemes: ["http", "https", "mailto"],
  allowedSchemesByTag: { img: ["http", "https"] },
  allowProtocolRelative: false,
  // What was of no use above goes, but for what is in it. (Renamed to a tag that is not allowed, it would go as well, and
  // leave that name to the end tag of the next.)
  exclusiveFilter: ({ tag, attribs }) => {
    const isOfNoUse =
      (tag === "img" && !attribs.src) || (tag === "iframe" && !(attribs[FRAME_PLACE] ?? attribs.href));
    return isOfNoUse && "excludeTag";
  },
  // What is in these is no text, and goes with its tag.
  nonTextTags: [
    ...["script", "style", "textarea", "option", "noscript", "template", "title", "svg", "math"],
    ...["object", "select"],
  ],
};

function tag(tagName: string, attribs: Record<string, string>): sanitize.Tag {
  return { tagName, attribs };
}

function isPixels(text: string | undefined): text is string {
  return text !== undefined && /^[1-9]\d{0,4}$/.test(text);
}

/** Whether HTML that was sanitised shows anything: text, a picture, a frame or a rule. */
export function showsSomething(sanitised: string): boolean {
  return /<(?:img|iframe|hr)\b/.test(sanitised) || sanitised.replace(/<[^>]*>/g, "").trim() !== "";
}
