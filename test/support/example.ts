import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { expect } from "vitest";
import { eventually } from "../../src/testing/runner.ts";

/** An example of examples/ that runs as a newcomer runs it. */
export interface Example {
  readonly url: string;
  end(): Promise<void>;
}

export interface ExampleOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: that of the tests. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `examples/<name>` on a port of its own, and waits until it answers. */
export async function startExample(name: string, options: ExampleOptions = {}): Promise<Example> {
  const { port = await freePort(), cwd, env } = options;
  const file = fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [file], {
    env: { PATH: process.env.PATH, ...env, PORT: String(port) },
    stdio: "inherit",
    ...(cwd !== undefined && { cwd }),
  });
  const url = `http://localhost:${port}`;
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
    await fetch(url);
  });
  return {
    url,
    async end() {
      const ended = once(child, "exit");
      if (child.kill()) await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}

/** What each example shows: a post appears in an open page, as text, and is there for who comes later. */
export async function showsPosts(browser: Browser, url: string): Promise<void> {
  const tab = await browser.newPage();
  await tab.goto(url);
  const texts = () => tab.locator(".live-post").allTextContents();
  const headers = { "Content-Type": "text/plain" };
  await fetch(url, { method: "POST", body: "Kick-off!", headers });
  await expect.poll(texts).toEqual(["Kick-off!"]);
  await fetch(url, { method: "POST", body: "<b>Goal!</b>", headers });
  await expect.poll(texts).toEqual(["<b>Goal!</b>", "Kick-off!"]);
  const later = await browser.newPage();
  await later.goto(url);
  expect(await later.locator(".live-post").allTextContents()).toEqual(["<b>Goal!</b>", "Kick-off!"]);
}
