import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { startNewsroom } from "../../../faults/processes/newsroom.ts";
import { random } from "../../../faults/random.ts";
import { eventually } from "../../../src/testing/runner.ts";

/** A newsroom, and a server that lost every post that it is asked to delete. @param cuts the first request for each breaks. */
async function write(cuts: boolean) {
  const asked = new Set<string>();
  let posts = 0;
  let gone = 0;
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (request.method === "DELETE") {
      if (cuts && !asked.has(request.url!)) {
        asked.add(request.url!);
        return void request.socket.destroy();
      }
      gone++;
      return void response.writeHead(404).end();
    }
    response.writeHead(request.method === "POST" ? 201 : 200, { etag: '"v"' });
    response.end(JSON.stringify({ ...JSON.parse(text), id: `post-${posts++}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const newsroom = startNewsroom({
    channel: "news",
    hosts: [`127.0.0.1:${(server.address() as AddressInfo).port}`],
    authorization: "Bearer t",
    random: random(1),
    reporters: 2,
    pauseMs: 0,
  });
  onTestFinished(() => newsroom.abandon());
  await eventually(() => expect(gone).toBeGreaterThan(0));
  await newsroom.end();
  return newsroom;
}

it("a post that is gone before anybody was asked to delete it is wrong", async () => {
  const { wrong } = await write(false);
  expect(wrong).toContain("DELETE was answered 404: ");
});

it("one that is gone after an answer was lost is not", async () => {
  const { wrong, unanswered } = await write(true);
  expect(unanswered).toBeGreaterThan(0);
  expect(wrong).toEqual([]);
});

it("a reporter that fails is told at the end, and ends no process before", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  const server = createServer((_, response) => void response.writeHead(201).end("no JSON"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const newsroom = startNewsroom({
    channel: "news",
    hosts: [`127.0.0.1:${(server.address() as AddressInfo).port}`],
    authorization: "Bearer t",
    random: random(1),
    reporters: 1,
    pauseMs: 0,
  });
  onTestFinished(() => newsroom.abandon());
  await wait(500);
  await expect(newsroom.end()).rejects.toThrow(SyntaxError);
  expect(unhandled).toEqual([]);
});
