import { once } from "node:events";
import { expect, it } from "vitest";
import { WebSocket } from "ws";
import { serve } from "../support/serve.ts";

const FILES = 200;
const CONNECTIONS = 100;

it("who is one too many for the limit of open files is refused, which is said once, and those who leave make room", async () => {
  const served = await serve({}, undefined, FILES);
  const sockets: WebSocket[] = [];
  try {
    const comes = async () => {
      const socket = new WebSocket(`${served.url.replace("http", "ws")}/ws/channel/welcome/`);
      sockets.push(socket);
      return Promise.race([
        once(socket, "open").then(() => "is in"),
        new Promise((resolve) => socket.on("error", () => resolve("is refused"))),
      ]);
    };
    const came: unknown[] = [];
    for (let each = 0; each < CONNECTIONS; each++) came.push(await comes());
    expect(new Set(came)).toEqual(new Set(["is in"]));
    expect([await comes(), await comes()]).toEqual(["is refused", "is refused"]);
    await expect
      .poll(served.output, { timeout: 10_000 })
      .toContain('"limit":200,"connections":100,"dropped":1');
    expect(served.output().match(/ulimit -n/g)).toHaveLength(1);
    sockets[0]!.terminate();
    await expect.poll(comes, { timeout: 10_000 }).toBe("is in");
  } finally {
    for (const socket of sockets) socket.terminate();
    await served.stop();
  }
});
