import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createClient } from "redis";
import { eventually } from "../../src/testing/runner.ts";
import { emptyFolder } from "./folder.ts";
import { freePort } from "./services.ts";

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** One command, over a connection of its own. */
  command(...args: string[]): Promise<unknown>;
  kill(): Promise<void>;
  /** Again on the same port, over what it left, with the same arguments. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** A private Redis that needs other arguments than most: an append-only file, a cluster, a replica. */
export async function startRedis(...args: string[]): Promise<RedisServer> {
  const folder = emptyFolder();
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess;

  async function start(): Promise<void> {
    const base = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder.path];
    child = spawn("redis-server", [...base, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const end = () => child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    let output = "";
    await new Promise<void>((resolve, reject) => {
      child.stdout!.on("data", (chunk) => {
        output = (output + chunk).slice(-10_000);
        if (output.includes("Ready to accept connections")) resolve();
      });
      child.once("exit", () => reject(new Error(`redis-server ended: ${output}`)));
      child.once("error", reject);
    });
  }

  async function command(...args: string[]): Promise<unknown> {
    const client = createClient({ url });
    client.on("error", () => {});
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  await start();
  return {
    url,
    port,
    command,
    kill,
    start,
    async close() {
      await kill();
      await folder.dispose();
    },
  };
}

/** A cluster of one node, which has all slots. */
export async function startRedisCluster(): Promise<RedisServer> {
  const server = await startRedis("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1");
  const takesWork = () =>
    eventually(async () => assert.match(String(await server.command("CLUSTER", "INFO")), /cluster_state:ok/));
  await server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await takesWork();
  return {
    ...server,
    async start() {
      await server.start();
      await takesWork();
    },
  };
}
