import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../../src/testing/runner.ts";
import { launchBrowser } from "../support/browser.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/http.ts", import.meta.url));

let browser: Browser;
let child: ChildProcess;
let url: string;

beforeAll(async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  url = `http://127.0.0.1:${port}`;
  child = spawn(process.execPath, [EXAMPLE], {
    env: { PATH: process.env.PATH, PORT: String(port) },
    stdio: "inherit",
  });
  browser = await launchBrowser();
  await eventually(async () => {
    await fetch(url);
  });
});
afterAll(async () => {
  child?.kill();
  await browser?.close();
});

it("the README's example: what is posted appears in an open page, and is there for who comes later", async () => {
  const tab = await browser.newPage();
  await tab.goto(url);
  const texts = () => tab.locator(".live-post").allTextContents();
  await fetch(url, { method: "POST", body: "Kick-off!" });
  await expect.poll(texts).toEqual(["Kick-off!"]);
  await fetch(url, { method: "POST", body: "<b>Goal!</b>" });
  await expect.poll(texts).toEqual(["<b>Goal!</b>", "Kick-off!"]);
  const later = await browser.newPage();
  await later.goto(url);
  expect(await later.locator(".live-post").allTextContents()).toEqual(["<b>Goal!</b>", "Kick-off!"]);
});
