import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { expect, it } from "vitest";
import { WebSocket } from "ws";
import { shareBound } from "../../src/app/open-files.ts";
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

it("who comes in by another door counts for the server, too, and who leaves makes room at both", async () => {
  const [server, door] = [createServer(), createServer()];
  server.maxConnections = 3;
  shareBound(server, door);
  const sockets: Socket[] = [];
  let dropped = 0;
  server.on("drop", () => dropped++);
  const comes = async (to: Server) => {
    const socket = connect((to.address() as AddressInfo).port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => {});
    const refused = once(socket, "close").then(() => "is refused");
    return Promise.race([refused, once(to, "connection").then(() => "is in")]);
  };
  try {
    for (const each of [server, door]) await once(each.listen(0, "127.0.0.1"), "listening");
    expect([await comes(server), await comes(door), await comes(door)]).toEqual(["is in", "is in", "is in"]);
    expect([await comes(server), await comes(door), dropped]).toEqual(["is refused", "is refused", 2]);
    sockets[1]!.destroy();
    await expect.poll(() => comes(server)).toBe("is in");
    expect(await comes(door)).toBe("is refused");
  } finally {
    for (const socket of sockets) socket.destroy();
    for (const each of [server, door]) each.close();
  }
});
