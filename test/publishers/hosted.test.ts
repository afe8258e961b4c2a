import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostedOptions, HostedPublisher } from "../../src/publishers/hosted.ts";
import { PieSocketPublisher } from "../../src/publishers/piesocket.ts";
import { PusherPublisher } from "../../src/publishers/pusher.ts";
import { APP, answer, type HostedService, startHostedService } from "../support/hosted-service.ts";
import { serve } from "../support/serve.ts";
import { request, text } from "../support/server.ts";

let service: HostedService;
const publishers: HostedPublisher[] = [];
beforeEach(async () => {
  service = await startHostedService();
});
afterEach(async () => {
  for (const publisher of publishers.splice(0)) publisher.close();
  await service.close();
});

const goal = { 7: { show: true, content: "Goal!", at: 12 } };

const SERVICES = [
  {
    name: "Pusher",
    module: "pusher.ts#PusherPublisher",
    make: (options: HostedOptions, secret = APP.secret) =>
      new PusherPublisher({ ...options, url: service.pusherUrl.replace(APP.secret, secret) }),
    env: () => ({ PUSHER_URL: service.pusherUrl }),
  },
  {
    name: "PieSocket",
    module: "piesocket.ts#PieSocketPublisher",
    make: (options: HostedOptions, secret = APP.secret) =>
      new PieSocketPublisher({ ...options, apiKey: APP.key, secret, endpoint: `ws://${service.host}/v3/` }),
    env: () => ({
      PIESOCKET_API_KEY: APP.key,
      PIESOCKET_SECRET: APP.secret,
      PIESOCKET_ENDPOINT: `ws://${service.host}/v3/`,
    }),
  },
];

describe.each(SERVICES)("$name", ({ make, module, env }) => {
  const made = (options: HostedOptions = {}, secret?: string) => {
    const publisher = make(options, secret);
    publishers.push(publisher);
    return publisher;
  };
  const publish = (publisher: HostedPublisher) => publisher.publish("finals", goal, [], { cursor: "e.1" });

  test.each([
    ["a 500", answer(500)],
    ["a 503", answer(503)],
    ["a 429", answer(429)],
    ["a connection that is cut", (response) => response.destroy()],
    ["an answer that is cut", (response) => response.writeHead(200).write("{", () => response.destroy())],
    ["no answer", () => {}],
  ] as [string, HostedService["mishaps"][0]][])("after %s it tries again", async (_what, mishap) => {
    service.mishaps.push(mishap, mishap);
    await publish(made({ attemptMs: 300 }));
    expect(service.asked).toHaveLength(3);
    expect(service.taken).toHaveLength(1);
  });

  test.each([
    [400, "invalid"],
    [401, "unauthorized"],
    [403, "unauthorized"],
    [404, "invalid"],
    [302, "invalid"],
  ])("after a %i it does not", async (status, code) => {
    service.mishap = answer(status, "because\n it\tis so", { location: "/api/publish" });
    const refused = publish(made());
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(`the service answered ${status}: because it is so`);
    expect(service.asked).toHaveLength(1);
  });

  test("a 413 that the message's size does not explain goes as a reset", async () => {
    service.mishaps.push(answer(413));
    await publish(made());
    expect(JSON.parse(service.taken[0]!.message)).toMatchObject({ cursor: "e.1", reset: true });
  });

  test("it comes again when the service says, not before; or gives up when that is too late", async () => {
    service.mishaps.push(answer(429, "", { "retry-after": "1" }));
    await publish(made());
    const [first, second] = service.asked;
    expect(second!.at - first!.at).toBeGreaterThan(950);

    service.mishaps.push(answer(503, "", { "retry-after": new Date(Date.now() + 60_000).toUTCString() }));
    const publisher = made();
    await expect(publish(publisher)).rejects.toMatchObject({ code: "unavailable" });
    await expect(publish(publisher)).rejects.toThrow("asked to be left alone");
    expect(service.asked).toHaveLength(3);
  });

  test("one that is down is given up in time, and taken again when it is back", async () => {
    const port = Number(service.host.split(":")[1]);
    const publisher = made({ patienceMs: 1_000 });
    await publish(publisher);
    await service.close();
    const began = performance.now();
    await expect(publish(publisher)).rejects.toMatchObject({ code: "unavailable" });
    expect(performance.now() - began).toBeLessThan(3_000);
    service = await startHostedService(port);
    await publish(publisher);
    expect(service.taken).toHaveLength(1);
  });

  test("one that hangs is given up in time", async () => {
    service.mishap = () => {};
    const late = publish(made({ attemptMs: 200, patienceMs: 500 }));
    await expect(late).rejects.toThrow(/has not answered within \d+ ms/);
  });

  test("close() gives up what is on the way, and what comes after it", async () => {
    service.mishap = () => {};
    const publisher = made();
    const pending = publish(publisher);
    await expect.poll(() => service.asked.length).toBe(1);
    publisher.close();
    await expect(pending).rejects.toMatchObject({ code: "closed" });
    service.mishap = answer(500);
    const pausing = made();
    const paused = publish(pausing);
    // It may have tried again by then.
    await expect.poll(() => service.asked.length).toBeGreaterThan(1);
    pausing.close();
    await expect(paused).rejects.toMatchObject({ code: "closed" });
    await expect(publish(publisher)).rejects.toMatchObject({ code: "closed" });
  });

  test("no secret is shown, though the service repeats it", async () => {
    const secret = "not-the-secret";
    const publisher = made({}, secret);
    service.mishaps.push(answer(401, `wrong: ${secret} ${APP.key}`));
    const error = await publish(publisher).catch((cause) => cause);
    expect(error).toMatchObject({ code: "unauthorized" });
    expect(error.message).toMatch(/wrong: … /);
    await expect(publish(publisher)).rejects.toMatchObject({ code: "unauthorized" });
    expect(service.taken).toEqual([]);
    expect(inspect(publisher, { depth: 9, showHidden: true })).not.toContain(secret);
  });

  describe("as the publisher of tidings serve", () => {
    async function served() {
      const publisher = new URL(`../../src/publishers/${module}`, import.meta.url);
      const server = await serve({
        ...env(),
        TIDINGS_PUBLISHER: decodeURIComponent(publisher.pathname + publisher.hash),
      });
      const token = (await readFile(join(server.cwd, "data/token"), "utf8")).trim();
      const post = (value: string) =>
        request(server.url, "POST", "/api/pages/welcome/posts", text(value), {
          authorization: `Bearer ${token}`,
        });
      return { server, post };
    }

    test("of 20 posts at once it gets each, in the page's order, though the service stumbles", async () => {
      const { server, post } = await served();
      // The post that a new server begins with.
      await expect.poll(() => service.taken.length).toBe(1);
      service.mishaps.push(
        answer(500),
        (response) => response.destroy(),
        answer(429, "", { "retry-after": "1" }),
      );
      const posts = Array.from({ length: 20 }, (_, i) => post(`post ${i}`));
      for (const { status } of await Promise.all(posts)) expect(status).toBe(201);
      await expect.poll(() => service.taken.length, { timeout: 20_000 }).toBe(21);
      expect(await server.stop()).toBe(0);
      const seqs = service.taken.map(({ message }) => Number(JSON.parse(message).cursor.split(".")[1]));
      expect(seqs).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
      expect(service.taken.every(({ channel }) => channel === "welcome")).toBe(true);
    });

    test.each(["hangs", "is down", "refuses"])("a service that %s delays and fails no post", async (how) => {
      const { server, post } = await served();
      if (how === "is down") await service.close();
      service.mishap = how === "hangs" ? () => {} : answer(401, `no: ${APP.secret}`);
      const began = performance.now();
      for (let i = 0; i < 5; i++) expect((await post(`post ${i}`)).status).toBe(201);
      // One attempt alone takes 5 s with a service that hangs.
      expect(performance.now() - began).toBeLessThan(4_000);
      const page = await (await fetch(`${server.url}/live/welcome/`)).text();
      expect(page).toContain("post 4");
      const stopping = performance.now();
      expect(await server.stop()).toBe(0);
      expect(performance.now() - stopping).toBeLessThan(8_000);
      expect(server.output()).toContain(`"stage":"publish"`);
      expect(server.output()).not.toContain(APP.secret);
      if (how === "is down") service = await startHostedService();
    });
  });
});
