import fc from "fast-check";
import { expect, test } from "vitest";
import { escapeHtml, html, raw, scriptString } from "../src/html.ts";

test("a template escapes what is put into it, and leaves HTML as it is", () => {
  expect(String(html`<a href="${`"x" & 'y'`}">${"<b>"}${1}</a>`)).toBe(
    '<a href="&quot;x&quot; &amp; &#39;y&#39;">&lt;b&gt;1</a>',
  );
  expect(String(html`${raw("<b>")}${html`<i>${"<"}</i>`}`)).toBe("<b><i>&lt;</i>");
});

test("a template joins lists, and leaves out what is not there", () => {
  expect(String(html`${["<", html`<b>`, [1]]}${false}${null}${undefined}${""}`)).toBe("&lt;<b>1");
  expect(String(html`${0}`)).toBe("0");
});

test("escaped text holds no character that ends text or an attribute", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !/[<>"']/.test(escapeHtml(text))));
});

test("a script's string is that string, and cannot end the script", () => {
  const text = fc.array(fc.constantFrom("</script>", "<!--", "\u2028", "\u2029", '"', "'", "\\", "&", "x"));
  fc.assert(
    fc.property(text, (parts) => {
      const literal = String(scriptString(parts.join("")));
      expect(JSON.parse(literal)).toBe(parts.join(""));
      expect(literal).not.toMatch(/[<>&'\u2028\u2029]/);
    }),
  );
});
