import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { shared } from "../../src/app/shared.ts";
import { eventually } from "../../src/testing/runner.ts";

it("makes what many ask for at once a single time, and anew when nobody is given it any more", async () => {
  let made = 0;
  const get = shared(async (key) => `${key} ${++made}`);
  const open: ServerResponse[] = [];
  const server = createServer(async (request, response) => {
    response.write(await get(request.url!, response));
    open.push(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const first = await Promise.all(["/a", "/a", "/b"].map((path) => fetch(url + path)));
  for (const response of open) response.end();
  const texts = await Promise.all(first.map((answer) => answer.text()));
  expect(new Set(texts)).toEqual(new Set(["/a 1", "/b 2"]));
  await eventually(() => expect(open.every(({ closed }) => closed)).toBe(true));
  const again = await fetch(`${url}/a`);
  open.at(-1)!.end();
  expect(await again.text()).toBe("/a 3");
  server.close();
});
