import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TidingsError } from "../../src/errors.ts";
import { checkPostHtml, MAX_POST_BYTES, parseBlocks } from "../../src/pages/blocks.ts";
import { MAX_NESTING, sanitizeHtml } from "../../src/pages/sanitize.ts";

const ID = "0f8fad5b-d9cb-469f-a165-70867728950e";

/** What `parseBlocks` throws. */
function refusal(input: unknown): { code: string; field: string | undefined; message: string } {
  try {
    parseBlocks(input);
  } catch (error) {
    if (error instanceof TidingsError)
      return { code: error.code, field: error.field, message: error.message };
    throw error;
  }
  throw new Error("it was taken");
}

function html(value: string): string {
  return parseBlocks([{ type: "html", value }])[0]!.value;
}

describe("what is taken", () => {
  test("a block of each type", () => {
    expect(
      parseBlocks([
        { type: "text", value: "Goal! <b>" },
        { type: "html", value: "<p>Goal!</p>" },
        { type: "image", value: ID, alt: "The goal", width: 3, height: 2 },
        { type: "image", value: "https://example.com/a b.jpg" },
        { type: "embed", value: " HTTPS://Example.com " },
      ]),
    ).toEqual([
      { type: "text", value: "Goal! <b>" },
      { type: "html", value: "<p>Goal!</p>" },
      { type: "image", value: ID, alt: "The goal", width: 3, height: 2 },
      { type: "image", value: "https://example.com/a%20b.jpg", alt: "" },
      { type: "embed", value: "https://example.com/" },
    ]);
  });

  test("an uploaded picture by the path that the upload was answered with", () => {
    expect(parseBlocks([{ type: "image", value: `/images/${ID}` }])).toEqual([
      { type: "image", value: ID, alt: "" },
    ]);
  });

  test("its own result, again", () => {
    const blocks = parseBlocks([
      { type: "html", value: '<h1>x</h1><iframe src="https://youtu.be/dQw4w9WgXcQ"></iframe>' },
      { type: "image", value: ID, width: 3, height: 2 },
    ]);
    expect(parseBlocks(blocks)).toEqual(blocks);
  });

  test("text in what HTML can hold: no control characters, no half of a pair, one kind of line end", () => {
    expect(parseBlocks([{ type: "text", value: "a\u0000\u001bb\r\nc\rd\te\ud800" }])[0]!.value).toBe(
      "ab\nc\nd\te\ufffd",
    );
  });

  test("a post of exactly the size that is allowed", () => {
    const value = "é".repeat(MAX_POST_BYTES / 2);
    expect(parseBlocks([{ type: "text", value }])).toEqual([{ type: "text", value }]);
  });

  test("any HTML where it is trusted", () => {
    const value = "<script>x()</script>";
    expect(parseBlocks([{ type: "html", value }], { trustedHtml: true })).toEqual([{ type: "html", value }]);
  });
});

describe("what is refused, naming the culprit", () => {
  test.each<[name: string, input: unknown, field: string]>([
    ["no list", { type: "text", value: "x" }, "content"],
    ["nothing", undefined, "content"],
    ["no block", [], "content"],
    ["null", [null], "content.0"],
    ["a list in the list", [[]], "content.0"],
    ["a block without type", [{ value: "x" }], "content.0.type"],
    ["an unknown type", [{ type: "video", value: "x" }], "content.0.type"],
    ["a type of every object", [{ type: "constructor", value: "x" }], "content.0.type"],
    ["a block without value", [{ type: "text" }], "content.0.value"],
    ["a number", [{ type: "text", value: 1 }], "content.0.value"],
    ["nothing but white space", [{ type: "text", value: " \n\u0000\t" }], "content.0.value"],
    ["nothing but a script", [{ type: "html", value: "<script>x()</script>" }], "content.0.value"],
    ["nothing but tags", [{ type: "html", value: "<p><br></p>" }], "content.0.value"],
    ["a misspelt field", [{ type: "image", value: ID, atl: "x" }], "content.0.atl"],
    ["a field of another type", [{ type: "text", value: "x", alt: "x" }], "content.0.alt"],
    ["an alternative that is no text", [{ type: "image", value: ID, alt: null }], "content.0.alt"],
    ["half a pixel", [{ type: "image", value: ID, width: 1.5 }], "content.0.width"],
    ["a negative height", [{ type: "image", value: ID, height: -1 }], "content.0.height"],
    ["a picture that is no id and no URL", [{ type: "image", value: "goal.jpg" }], "content.0.value"],
    ["a path of ours that is no picture", [{ type: "image", value: "/images/../api" }], "content.0.value"],
    ["a picture in a data URL", [{ type: "image", value: "data:image/png;base64,AA" }], "content.0.value"],
    ["an embed that is no URL", [{ type: "embed", value: "example.com" }], "content.0.value"],
    ["an embed by a script", [{ type: "embed", value: "javascript:x()" }], "content.0.value"],
    [
      "the second block",
      [
        { type: "text", value: "x" },
        { type: "embed", value: "ftp://x" },
      ],
      "content.1.value",
    ],
  ])("%s", (_, input, field) => {
    const { code, field: named, message } = refusal(input);
    expect({ code, field: named }).toEqual({ code: "invalid", field });
    expect(message).toContain(field);
  });

  test("more than 100 blocks", () => {
    const block = { type: "text", value: "x" };
    expect(parseBlocks(Array(100).fill(block))).toHaveLength(100);
    expect(refusal(Array(101).fill(block))).toMatchObject({ code: "too_large", field: "content" });
  });

  test("more than 1 MiB in all, as sent", () => {
    const half = { type: "text", value: "é".repeat(MAX_POST_BYTES / 4) };
    expect(parseBlocks([half, half])).toHaveLength(2);
    expect(refusal([half, half, { type: "text", value: "x" }])).toMatchObject({
      code: "too_large",
      field: "content",
    });
  });

  test("more than 1 MiB in all, as kept: escaping makes it longer", () => {
    expect(refusal([{ type: "html", value: "&".repeat(MAX_POST_BYTES / 4) }])).toMatchObject({
      code: "too_large",
    });
  });

  test("tags that nest without end, before they cost time", () => {
    const deep = (tags: number) => [{ type: "html", value: `${"<b>".repeat(tags)}x` }];
    expect(parseBlocks(deep(MAX_NESTING))).toHaveLength(1);
    const started = performance.now();
    expect(refusal(deep(300_000))).toMatchObject({ code: "invalid", field: "content.0.value" });
    // Parsed to its end it would take some 20 s.
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("rich text keeps", () => {
  test.each([
    "<p>One<br />two</p>",
    "<h2>a</h2><h3>b</h3><h4>c</h4>",
    "<strong>a</strong><b>b</b><em>c</em><i>d</i><u>e</u><s>f</s><sub>g</sub><sup>h</sup>",
    '<ul><li>a</li></ul><ol start="3" reversed><li>b</li></ol>',
    "<blockquote><p>a</p></blockquote><pre><code>b &lt; c</code></pre><hr />",
    '<table><caption>c</caption><thead><tr><th scope="col" colspan="2">a</th></tr></thead><tbody><tr><td rowspan="2">b</td></tr></tbody></table>',
    "<details open><summary>a</summary>b</details>",
    '<p lang="ar" dir="rtl">a</p>',
  ])("%s", (value) => {
    expect(html(value)).toBe(value);
  });

  test("links, without the page's window or our word for them", () => {
    expect(html('<a href="https://example.com/?a&amp;b" target="_blank" rel="opener">x</a>')).toBe(
      '<a href="https://example.com/?a&amp;b" rel="noopener nofollow ugc">x</a>',
    );
    expect(html('<a href="mailto:desk@example.com">x</a>')).toContain('href="mailto:desk@example.com"');
    expect(html('<a href="https://bank.example@evil.example/">x</a>')).toContain(
      'href="https://evil.example/"',
    );
    for (const href of [
      "/live/x/",
      "//example.com/",
      "ftp://example.com/",
      "javascript:x()",
      "data:,x",
      "#x",
      "",
    ]) {
      expect(html(`<a href="${href}">x</a>`)).toBe("<a>x</a>");
    }
  });

  test("pictures by http(s) or of our own, and no others", () => {
    expect(html(`<img src="/images/${ID}" alt="" width="3" height="2">`)).toBe(
      `<img src="/images/${ID}" alt="" width="3" height="2" loading="lazy" decoding="async" />`,
    );
    expect(html('<img src="https://example.com/x.png" alt="x" width="100%">')).toBe(
      '<img src="https://example.com/x.png" alt="x" loading="lazy" decoding="async" />',
    );
    for (const src of ["/api/pages", "/images/x", "data:image/png,x", "javascript:x()", "x.png"]) {
      expect(html(`x<img src="${src}">`)).toBe("x");
    }
  });

  test("known players as sandboxed frames of ours, others as links", () => {
    const frame = html(
      '<iframe src="https://www.youtube.com/embed/dQw4w9WgXcQ" onload="x()" allow="camera"></iframe>',
    );
    expect(frame).toMatch(
      /^<iframe class="live-embed live-embed-video" src="https:\/\/www\.youtube-nocookie\.com/,
    );
    expect(frame).toContain(' sandbox="');
    expect(frame).not.toMatch(/onload|camera/);
    expect(html('<iframe src="https://example.com/x">old browser</iframe>')).toBe(
      '<a href="https://example.com/x" rel="noopener nofollow ugc">https://example.com/x</a>',
    );
    expect(html('x<hr data-frame="0">')).toBe("x<hr />");
  });

  test("headings in their rank below the page's own", () => {
    expect(html("<h1>a</h1><h6>b</h6>")).toBe("<h2>a</h2><h4>b</h4>");
  });

  test("nothing else", () => {
    expect(html('<p id="x" class="x" style="color:red" name="x" onclick="x()" data-x="x">a</p>')).toBe(
      "<p>a</p>",
    );
    expect(html('a<form action="/x"><input name="x"></form><svg><a>b</a></svg><style>c</style>')).toBe("a");
  });
});

test.each([
  // A picture or a frame of no use once left its name to the next end tag: nothing closed the tag before it.
  ["<img><div>a", "<div>a</div>"],
  ["<img src=javascript:x()><p>a</p>b", "<p>a</p>b"],
  ["<iframe src=x>a<b>c</b></iframe>d", "a<b>c</b>d"],
  // Where a tag that had to go held two cells or paragraphs apart, they were left one in the other.
  ["<p><unknown><p>a", "<p></p><p>a</p><p></p>"],
  // A character was parted where a tag was cut off.
  ["</p x\u{1f600}", "<p></p>\ufffd"],
])("sanitising leaves whole what is around what must go: %s", (input, clean) => {
  expect(sanitizeHtml(input)).toBe(clean);
});

test("sanitising what was sanitised comes to an end at once", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "<p>",
      "</p>",
      "<div>",
      "</div>",
      "<b>",
      "</b>",
      "<a href=https://x.y/>",
      "</a>",
      "<li>",
      "</li>",
    ),
    fc.constantFrom(
      "<h1>",
      "</h1>",
      "<table>",
      "<td>",
      "</td>",
      "</table>",
      "<br>",
      "<hr>",
      "<hr data-frame=0>",
    ),
    fc.constantFrom(
      "<svg>",
      "</svg>",
      "<script>",
      "</script>",
      "<!--",
      "-->",
      "<iframe src=https://youtu.be/dQw4w9WgXcQ>",
    ),
    fc.constantFrom(
      "</iframe>",
      "<iframe src=https://x.y/>",
      "<img src=https://x.y/ alt='\">'>",
      "&lt;",
      "&amp;lt;",
      "<",
      ">",
    ),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const once = sanitizeHtml(pieces.join(""));
      expect(sanitizeHtml(once)).toBe(once);
    }),
    { numRuns: 500 },
  );
});

describe("posts that a site rendered by itself", () => {
  const check = (content: string, id = "7") =>
    checkPostHtml(new Map([[id, { show: true, content, version: 3 }]])).get(id);

  test("keep their markup, their own id and their version", () => {
    const content =
      '<article class="live-post" data-post-id="7"><header class="live-post-meta"><time class="live-post-created" datetime="2026-11-24">now</time></header><div class="live-post-content"><div class="post-block post-block-text">Goal!</div></div></article>';
    expect(check(content)).toEqual({ show: true, content, version: 3 });
  });

  test("lose what is unsafe, and what would pass for another part of the page", () => {
    expect(
      check(
        '<article class="live-post-wrapper x" id="live-posts" onclick="x()">a<script>x()</script></article>',
      ),
    ).toEqual({
      show: true,
      content: "<article>a</article>",
      version: 3,
    });
    expect(check('<div data-post-id="8">a</div>')!.content).toBe("<div>a</div>");
  });

  test("are named when they are too large or too deep", () => {
    const failing = (content: string) => {
      try {
        check(content, "a.b");
      } catch (error) {
        return error;
      }
      throw new Error("it was taken");
    };
    expect(failing("x".repeat(MAX_POST_BYTES + 1))).toMatchObject({
      code: "too_large",
      field: "renders.a.b.content",
    });
    expect(failing("<b>".repeat(101))).toMatchObject({ code: "invalid", field: "renders.a.b.content" });
  });
});
