import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PusherPublisher, signedQuery } from "../../src/publishers/pusher.ts";
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

test("signs as in Pusher's worked example", () => {
  const body = `{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}`;
  const query = signedQuery("/apps/3/events", body, APP.key, APP.secret, 1353088179);
  expect(query).toContain("body_md5=ec365a775a4cd0599faeb73354201b6f&");
  expect(query).toMatch(/&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c$/);
});

test("an update is an event on the page's channel, with its cursor", async () => {
  vi.stubEnv("PUSHER_URL", service.pusherUrl);
  await new PusherPublisher().publish("été", goal, ["6"], { cursor: "e.1" });
  expect(service.taken).toHaveLength(1);
  expect(service.taken[0]!.channel).toBe("=C3=A9t=C3=A9");
  expect(JSON.parse(service.taken[0]!.message)).toEqual({ renders: goal, removals: ["6"], cursor: "e.1" });
});

test("one over the limit goes as a reset; without a cursor it is refused", async () => {
  const large = { 7: { show: true, content: "½".repeat(6_000), at: 12 } };
  const publisher = new PusherPublisher({ url: service.pusherUrl });
  const reset = { renders: {}, removals: [], cursor: "e.1", reset: true };
  await publisher.publish("finals", large, [], { cursor: "e.1" });
  expect(service.asked).toHaveLength(1);
  await expect(publisher.publish("finals", large, [])).rejects.toMatchObject({ code: "too_large" });
  // The service's own limit is lower than we were told.
  const misled = new PusherPublisher({ url: service.pusherUrl, maxBytes: 100_000 });
  await misled.publish("finals", large, [], { cursor: "e.1" });
  expect(service.asked).toHaveLength(3);
  expect(service.taken.map(({ message }) => JSON.parse(message))).toEqual([reset, reset]);
});

test("a page whose name is too long there is refused, and the service is not asked", async () => {
  const publisher = new PusherPublisher({ url: service.pusherUrl });
  await publisher.publish("x".repeat(164), goal, []);
  const refused = { code: "invalid", field: "channelId" };
  await expect(publisher.publish("x".repeat(165), goal, [])).rejects.toMatchObject(refused);
  expect(service.asked).toHaveLength(1);
});

test.each([
  undefined,
  "nonsense",
  "https://api-eu.pusher.com/apps/1",
  "https://key:s3cret@api-eu.pusher.com/",
  "ftp://key:s3cret@api-eu.pusher.com/apps/1",
  "https://key:s3cret%@api-eu.pusher.com/apps/1",
])("with PUSHER_URL=%s there is none, and the line shows no secret", (url) => {
  if (url !== undefined) vi.stubEnv("PUSHER_URL", url);
  const make = () => new PusherPublisher();
  expect(make).toThrow(/^\[tidings\] \[pusher publisher\] PUSHER_URL is (not set|wrong): it must be https:/);
  expect(make).not.toThrow(/s3cret/);
});
