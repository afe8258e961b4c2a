import type { Browser } from "playwright-core";
import { afterAll, beforeAll, it } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { type Example, showsPosts, startExample } from "../support/example.ts";

let browser: Browser;
let example: Example;

beforeAll(async () => {
  example = await startExample("fastify.ts");
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await example?.end();
});

it("what is posted appears in an open page, and is there for who comes later", () =>
  showsPosts(browser, example.url));
