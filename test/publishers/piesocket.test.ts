import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PieSocketPublisher } from "../../src/publishers/piesocket.ts";
import { APP, type HostedService, startHostedService } from "../support/hosted-service.ts";

let service: HostedService;
beforeEach(async () => {
  service = await startHostedService();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await service.close();
});

const goal = { 7: { show: true, content: "<p>Goal! ½</p>", at: 12 } };

test("Wagtail Live's settings are enough; an update is a message in the page's room", async () => {
  vi.stubEnv("PIESOCKET_API_KEY", APP.key);
  vi.stubEnv("PIESOCKET_SECRET", APP.secret);
  vi.stubEnv("PIESOCKET_ENDPOINT", `ws://${service.host}/v3/`);
  const publisher = new PieSocketPublisher();
  await publisher.publish("-100123", goal, ["6"], { cursor: "e.1" });
  expect(service.asked.map(({ path }) => path)).toEqual(["/api/publish"]);
  expect(service.taken[0]!.channel).toBe("-100123");
  expect(JSON.parse(service.taken[0]!.message)).toEqual({ renders: goal, removals: ["6"], cursor: "e.1" });
});

test("posts to the cluster of the endpoint, over https, under both names of the room", async () => {
  const post = vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response("{}"));
  const endpoint = "us-nyc-1.piesocket.com/v3/";
  await new PieSocketPublisher({ apiKey: "k", secret: "s", endpoint }).publish("cup final", {}, []);
  const [url, { body }] = post.mock.calls[0] as unknown as [URL, { body: string }];
  post.mockRestore();
  expect(String(url)).toBe("https://us-nyc-1.piesocket.com/api/publish");
  expect(JSON.parse(body)).toEqual({
    key: "k",
    secret: "s",
    roomId: "cup_20final",
    channelId: "cup_20final",
    message: { renders: {}, removals: [] },
  });
});

test("a page whose name is too long there is refused, and the service is not asked", async () => {
  const endpoint = `http://${service.host}/v3/`;
  const publisher = new PieSocketPublisher({ apiKey: APP.key, secret: APP.secret, endpoint });
  await publisher.publish("x".repeat(30), goal, []);
  const refused = { code: "invalid", field: "channelId" };
  await expect(publisher.publish("x".repeat(31), goal, [])).rejects.toMatchObject(refused);
  expect(service.asked).toHaveLength(1);
});

test.each([
  [{}, /PIESOCKET_API_KEY is not set/],
  [{ apiKey: "k" }, /PIESOCKET_SECRET is not set/],
  [{ apiKey: "k", secret: "s" }, /PIESOCKET_ENDPOINT is not set/],
  [{ apiKey: "k", secret: "s", endpoint: "ftp://x" }, /PIESOCKET_ENDPOINT must be like us-nyc-1/],
])("with %j alone, one line says what is missing", (options, line) => {
  expect(() => new PieSocketPublisher(options)).toThrow(line);
});
