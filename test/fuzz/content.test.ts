import fc from "fast-check";
import { type DefaultTreeAdapterTypes, parse } from "parse5";
import { describe, expect } from "vitest";
import { checkPostHtml, MAX_IMAGE_SIDE, parseBlocks } from "../../src/pages/blocks.ts";
import { embedFrame, FRAME_ORIGINS } from "../../src/pages/embeds.ts";
import { inspectImage } from "../../src/pages/images.ts";
import type { Block } from "../../src/pages/model.ts";
import { renderPost } from "../../src/pages/render.ts";
import { sanitizeHtml, sanitizePost } from "../../src/pages/sanitize.ts";
import { safeUrl } from "../../src/pages/urls.ts";
import { hiddenShell, isId } from "../../src/protocol.ts";
import { livePosts } from "../../src/templates/posts.ts";
import { png } from "../support/png.ts";
import { endless, fuzz, inTime, refusing, spell, texts } from "./fuzz.ts";
import { htmls, VALUES } from "./html.ts";

type Element = DefaultTreeAdapterTypes.Element;

// --- HTML, read as browsers read it --------------------------------------------------------------------

function* elementsIn(node: DefaultTreeAdapterTypes.Node): Generator<Element> {
  if ("tagName" in node) yield node;
  if ("content" in node) yield* elementsIn(node.content);
  for (const child of "childNodes" in node ? node.childNodes : []) yield* elementsIn(child);
}

const attribute = (element: Element, name: string) => element.attrs.find((each) => each.name === name)?.value;

const ALLOWED =
  /^(?:p|div|br|hr|h[234]|blockquote|pre|[uo]l|li|strong|b|em|i|u|s|su[bp]|code|a|figure|figcaption|img|details|summary|table|caption|t(?:head|body|foot|r|h|d)|iframe|article|header|footer|span|time)$/;
const ALLOWED_ATTRIBUTES =
  /^(?:lang|dir|href|rel|src|alt|width|height|loading|decoding|start|reversed|open|colspan|rowspan|scope|class|title|sandbox|allow|referrerpolicy|datetime|data-post-id)$/;

/** What a browser makes of it, put where a post goes: nothing that runs, loads or reaches out of its place. */
function expectHarmless(html: string): void {
  const page = parse(
    `<!doctype html><body><main><div class="own">${html}</div><i class="after"></i></main></body>`,
  );
  const all = [...elementsIn(page)];
  const own = all.find((element) => attribute(element, "class") === "own")!;
  const after = all.filter((element) => attribute(element, "class") === "after");
  expect(after.map(({ parentNode }) => (parentNode as Element).tagName)).toEqual(["main"]);
  expect(own.parentNode).toBe(after[0]!.parentNode);
  for (const element of elementsIn(own)) {
    if (element === own) continue;
    expect(element.tagName).toMatch(ALLOWED);
    expect(element.namespaceURI).toBe("http://www.w3.org/1999/xhtml");
    for (const { name, value } of element.attrs) {
      expect(name).toMatch(ALLOWED_ATTRIBUTES);
      if (name === "href") expect(value).toMatch(/^(?:https?|mailto):/);
      if (name === "src") expect(value).toMatch(/^https?:\/\/|^\/images\/[\da-f-]{36}$/);
    }
    if (element.tagName === "iframe") {
      expect(FRAME_ORIGINS).toContain(new URL(attribute(element, "src")!).origin);
      expect(attribute(element, "sandbox")).toBeTruthy();
    }
  }
}

describe("rich text", () => {
  fuzz(
    "is harmless once sanitised, and sanitising it again changes nothing",
    htmls,
    (input) => {
      const clean = refusing(["invalid"], () => sanitizeHtml(input));
      if (clean === undefined) return;
      expectHarmless(clean);
      expect(sanitizeHtml(clean)).toBe(clean);
    },
    4,
  );
  fuzz(
    "of a whole post, too",
    htmls,
    (input) => {
      const clean = refusing(["invalid"], () => sanitizePost(input, "7"));
      if (clean === undefined) return;
      expectHarmless(clean);
      expect(sanitizePost(clean, "7")).toBe(clean);
      for (const element of elementsIn(parse(clean)))
        expect(["7", undefined]).toContain(attribute(element, "data-post-id"));
    },
    4,
  );
});

// --- blocks and posts -----------------------------------------------------------------------------------

const values = fc.oneof(texts, htmls, fc.webUrl(), fc.constantFrom(...VALUES));
const blocks = fc.oneof(
  fc.record({ type: fc.constantFrom("text", "html", "image", "embed"), value: values }),
  fc.record(
    { type: fc.constant("image"), value: values, alt: texts, width: fc.integer(), height: fc.anything() },
    { requiredKeys: ["type", "value"] },
  ),
);

describe("blocks", () => {
  fuzz("that were taken are taken again as they are", fc.array(blocks, { maxLength: 4 }), (input) => {
    const taken = refusing(["invalid", "too_large"], () => parseBlocks(input));
    if (taken) expect(parseBlocks(taken)).toEqual(taken);
  });
  fuzz("are checked whatever they are made of", fc.anything(), (input) => {
    refusing(["invalid", "too_large"], () => parseBlocks(input));
    refusing(["invalid", "too_large"], () => parseBlocks([input]));
  });
  fuzz(
    "make a post that is harmless, and says its text",
    fc.tuple(blocks, texts.filter(isId)),
    ([block, id]) => {
      const content = refusing(["invalid", "too_large"], () => parseBlocks([block]));
      if (!content) return;
      const post = {
        id,
        at: 1,
        created: 0,
        modified: 1,
        show: true,
        content: content as Block[],
        version: "v",
      };
      const rendered = renderPost(post);
      const page = parse(
        `<body>${livePosts({ page: { channelId: id } as never, cursor: "e.1", posts: [{ id, at: 1, show: true, content: rendered }] })}`,
      );
      const shown = [...elementsIn(page)].filter(
        (element) => attribute(element, "data-post-id") !== undefined,
      );
      expect(shown.map((element) => attribute(element, "data-post-id"))).toEqual([id]);
      expect(embedsIn(rendered)).toBe(true);
      if (content[0]!.type !== "text") return;
      const bare = (text: string) => text.replace(/\s+/g, "");
      expect(
        bare(
          textIn(
            [...elementsIn(page)].find(({ attrs }) =>
              attrs.some(({ value }) => value === "live-post-content"),
            )!,
          ),
        ),
      ).toBe(bare(content[0]!.value));
    },
  );
  fuzz(
    "of a site's own posts are sanitised as such",
    fc.tuple(texts.filter(isId), htmls),
    ([id, content]) => {
      const checked = refusing(["invalid", "too_large"], () =>
        checkPostHtml(new Map([[id, { show: true, content }]])),
      );
      if (!checked) return;
      expectHarmless(checked.get(id)!.content);
      expect(checkPostHtml(checked)).toEqual(checked);
    },
  );
  fuzz("the shell of a hidden post is one element with its id", texts.filter(isId), (id) => {
    const [, , , shell, ...more] = elementsIn(parse(`<body>${hiddenShell(id)}`));
    expect(more).toEqual([]);
    expect(attribute(shell!, "data-post-id")).toBe(id);
  });
});

function embedsIn(html: string): boolean {
  return [...elementsIn(parse(html))]
    .filter(({ tagName }) => tagName === "iframe")
    .every((frame) => FRAME_ORIGINS.includes(new URL(attribute(frame, "src")!).origin));
}

function textIn(node: DefaultTreeAdapterTypes.Node): string {
  if ("value" in node) return node.value;
  return "childNodes" in node ? node.childNodes.map(textIn).join("") : "";
}

// --- URLs -------------------------------------------------------------------------------------------------

const HOSTS = [
  ...[
    "www.youtube.com",
    "youtu.be",
    "vimeo.com",
    "player.vimeo.com",
    "dai.ly",
    "geo.dailymotion.com",
    "www.tiktok.com",
  ],
  ...[
    "open.spotify.com",
    "soundcloud.com",
    "w.soundcloud.com",
    "datawrapper.dwcdn.net",
    "flo.uri.sh",
    "www.google.com",
    "evil.example",
  ],
];
const PATHS = [
  ...[
    "/watch",
    "/embed/",
    "/shorts/",
    "/video/",
    "/player.html",
    "/maps/embed",
    "/player/",
    "/track/",
    "/visualisation/",
    "/@a/video/",
  ],
  ...[
    "dQw4w9WgXcQ",
    "76979871",
    "x7tgad0",
    "7106594312292453675",
    "4uLU6hMCjMI75M1A2tKUQC",
    "artist/song",
    "abcde/1",
    "1234",
    "..",
    "%2f",
    "//",
  ],
];
const playerUrls = fc
  .tuple(
    fc.constantFrom("https://", "http://", "//", "https://evil.example@"),
    fc.constantFrom(...HOSTS),
    fc.array(fc.constantFrom(...PATHS), { maxLength: 4 }),
    fc.constantFrom(
      "",
      "?v=dQw4w9WgXcQ",
      "?v=dQw4w9WgXcQ&t=1m30s",
      "?h=abcdef",
      "?video=x7tgad0",
      "?url=https://soundcloud.com/a/b",
      "?pb=!1m18",
      '?pb="><script>',
      "#t=1",
    ),
  )
  .map(([scheme, host, path, query]) => scheme + host + path.join("") + query);

describe("URLs", () => {
  fuzz(
    "of players give a frame of the provider, and that gives itself again",
    fc.oneof(playerUrls, texts, fc.webUrl()),
    (url) => {
      const frame = embedFrame(url);
      if (frame === null) return;
      expectHarmless(String(frame));
      const [element] = [...elementsIn(parse(String(frame)))].filter(({ tagName }) => tagName === "iframe");
      expect(String(embedFrame(attribute(element!, "src")!))).toBe(String(frame));
    },
    4,
  );
  fuzz(
    "that are safe are so in their canonical form, and name no user",
    fc.oneof(texts, fc.constantFrom(...VALUES), fc.webUrl()),
    (text) => {
      const url = safeUrl(text);
      if (url === null) return;
      expect(url).toMatch(/^https?:\/\/[^@/]+\//);
      expect(safeUrl(url)).toBe(url);
    },
  );
});

// --- pictures ---------------------------------------------------------------------------------------------

const box = (type: string, ...parts: Uint8Array[]) => {
  const bytes = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(bytes.length + 8);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, bytes]);
};
const PICTURES: readonly Buffer[] = [
  Buffer.from(png(3, 2)),
  Buffer.from("GIF89a\x03\0\x02\0\0\0\0;", "latin1"),
  Buffer.from(
    "\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0\xff\xda\0\x02\xff\xd9",
    "latin1",
  ),
  Buffer.from("RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x02\0\0\x01\0\0\0\0\0\0", "latin1"),
  Buffer.concat([
    box("ftyp", Buffer.from("avif\0\0\0\0avifmif1")),
    box(
      "meta",
      Buffer.alloc(4),
      box("iprp", box("ipco", box("ispe", Buffer.from([0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2])))),
    ),
    box("mdat", Buffer.of(1)),
  ]),
];
/** A picture, some of its bytes changed, cut or grown. */
const pictures = fc
  .tuple(
    fc.constantFrom(...PICTURES),
    fc.array(fc.tuple(fc.nat(200), fc.oneof(fc.constantFrom(0, 1, 0x7f, 0xff), fc.nat(255))), {
      maxLength: 8,
    }),
    fc.oneof(fc.constant(1_000), fc.nat(100)),
    fc.uint8Array({ maxLength: 40 }),
  )
  .map(([picture, changes, length, more]) => {
    const bytes = Buffer.concat([picture.subarray(0, length), more]);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

describe("pictures", () => {
  fuzz(
    "are known by their bytes, or refused, in time",
    fc.oneof(pictures, fc.uint8Array({ maxLength: 200 })),
    (bytes) => {
      const image = inTime(() => refusing(["unsupported", "too_large"], () => inspectImage(bytes)));
      if (!image) return;
      for (const side of [image.width, image.height]) {
        expect(Number.isInteger(side) && side > 0 && side <= MAX_IMAGE_SIDE).toBe(true);
      }
    },
    3,
  );
});

describe("100 kB of anything", () => {
  fuzz(
    "is read in time",
    endless,
    (pieces) => {
      const text = spell(pieces);
      const codes = ["invalid", "too_large", "unsupported"];
      const reads: (() => unknown)[] = [
        () => sanitizeHtml(text),
        () => sanitizePost(text, "7"),
        () => embedFrame(text),
        () => embedFrame(`https://youtu.be/${text}`),
        () => parseBlocks([{ type: "embed", value: `https://w.soundcloud.com/player/?url=${text}` }]),
        () => parseBlocks([{ type: "image", value: text, alt: text }]),
        () =>
          renderPost({
            id: "7",
            at: 1,
            created: 0,
            modified: 0,
            show: true,
            version: "v",
            content: parseBlocks([{ type: "text", value: text }]) as Block[],
          }),
        ...PICTURES.map((picture) => () => inspectImage(Buffer.concat([picture, Buffer.from(text)]))),
        ...PICTURES.map(
          (picture) => () => inspectImage(Buffer.concat([picture.subarray(0, 16), Buffer.from(text)])),
        ),
      ];
      for (const read of reads) {
        inTime(() => refusing(codes, read));
      }
    },
    0.02,
  );
});
