import { expect, it } from "vitest";
import { allowedOrigin, isAllowedOrigin } from "../../src/hub/origins.ts";

it.each([
  [["own"], undefined, "news.example", true],
  [["own"], "https://news.example", "news.example", true],
  [["own"], "https://news.example:8443", "news.example:8443", true],
  [["own"], "https://NEWS.example", "news.EXAMPLE", true],
  [["own"], "https://news.example", "news.example:8443", false],
  [["own"], "https://news.example.evil", "news.example", false],
  [["own"], "https://evil.example", "news.example", false],
  [["own"], "null", "news.example", false],
  [["own"], "news.example", "news.example", false],
  [["own"], "", "", false],
  [["own"], "https://news.example", undefined, false],
  [["https://a.example"], "https://a.example", "news.example", true],
  [["https://a.example"], "http://a.example", "news.example", false],
  [["https://a.example"], "https://news.example", "news.example", false],
  [["*"], "https://evil.example", "news.example", true],
  [["*"], "null", "news.example", true],
  [[], undefined, "news.example", true],
  [[], "https://news.example", "news.example", false],
] as const)("%j lets %s read at %s: %s", (origins, origin, host, allowed) => {
  expect(isAllowedOrigin(origins, origin, host)).toBe(allowed);
});

it.each([
  [["own"], undefined, "news.example", null],
  [["own"], "https://news.example", "news.example", "https://news.example"],
  [["own"], "https://evil.example", "news.example", null],
  [["own"], "null", "news.example", null],
  [["own", "https://a.example"], "https://a.example", "news.example", "https://a.example"],
  [["*"], "https://evil.example", "news.example", "*"],
  [["*"], "null", "news.example", "*"],
  [["*"], undefined, "news.example", "*"],
] as const)("%j, asked by %s at %s, allows %s", (origins, origin, host, allowed) => {
  expect(allowedOrigin(origins, origin, host)).toBe(allowed);
});
