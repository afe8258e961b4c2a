import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { expect } from "vitest";

/** An example of examples/ that runs as a newcomer runs it. */
export interface Example {
  readonly url: string;
  /** Sends SIGTERM; resolves when the process has ended. */
  end(): Promise<void>;
}

export interface ExampleOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: that of the tests. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command line that serves on `PORT`, and waits until it answers. */
export async function startCommand(command: string, options: ExampleOptions = {}): Promise<Example> {
  const { port = await freePort(), cwd, env } = options;
  // The shell becomes the last command, so that the signal is the example's own.
  const child: ChildProcess = spawn("sh", ["-c", command.replace(/^(.* && )?/, "$1exec ")], {
    env: { PATH: `${BIN}:${process.env.PATH}`, HOME: process.env.HOME, ...env, PORT: String(port) },
    stdio: ["ignore", "ignore", "inherit"],
    ...(cwd !== undefined && { cwd }),
  });
  const ended = once(child, "exit");
  const gone = () => child.exitCode !== null || child.signalCode !== null;
  const url = `http://localhost:${port}`;
  while (!gone() && !(await answers(url))) await setTimeout(50);
  if (gone()) throw new Error(`"${command}" ended with ${child.exitCode ?? child.signalCode}`);
  return {
    url,
    async end() {
      child.kill();
      await ended;
    },
  };
}

/** The programs of the checkout: its Node, Bun, and those of its packages. */
const BIN = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}

/**
 * What each example shows: a post to `postsUrl` appears in an open page, as text, and is there for who comes later.
 */
export async function showsPosts(browser: Browser, url: string, postsUrl: string = url): Promise<void> {
  const tab = await browser.newPage();
  await tab.goto(url);
  const texts = () => tab.locator(".live-post").allTextContents();
  const patience = { timeout: 20_000 }; // a page may still be loading what makes it live
  const headers = { "Content-Type": "text/plain" };
  await fetch(postsUrl, { method: "POST", body: "Kick-off!", headers });
  await expect.poll(texts, patience).toEqual(["Kick-off!"]);
  await fetch(postsUrl, { method: "POST", body: "<b>Goal!</b>", headers });
  await expect.poll(texts, patience).toEqual(["<b>Goal!</b>", "Kick-off!"]);
  const later = await browser.newPage();
  await later.goto(url);
  expect(await later.locator(".live-post").allTextContents()).toEqual(["<b>Goal!</b>", "Kick-off!"]);
}
