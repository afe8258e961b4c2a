import { createClient } from "redis";
import { expect, test } from "vitest";
import { type Announcement, draftUpdate, parseCursor } from "../../src/protocol.ts";
import { createRelay } from "../../src/relay/relay.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { startService } from "../support/services.ts";
import { sitePost, wagtailSite } from "../support/wagtail.ts";

describeWith("redis", () => {
  test("what Redis refuses is told as that, once, by who subscribes and by who publishes", async () => {
    const redis = await startService("redis");
    const client = createClient({ url: redis.url });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.configSet("requirepass", "right");
      for (const [login, path, said] of [
        [":wrong@", "", "WRONGPASS"],
        ["", "", "NOAUTH"],
        [":right@", "/99", "DB index"],
      ] as const) {
        const errors: string[] = [];
        const url = `redis://${login}127.0.0.1:${redis.port}${path}`;
        const relay = createRelay({ url, onError: (error) => errors.push(String(error)) });
        const refusal = expect.stringMatching(new RegExp(`Redis refused: [^:]*${said}[^:]*$`));
        try {
          await eventually(() => expect(errors).toEqual([refusal]));
          const draft = draftUpdate({}, ["a"]);
          await expect(relay.publish("finals", draft)).rejects.toMatchObject({
            code: "unavailable",
            message: refusal,
          });
          expect(errors).toHaveLength(1);
        } finally {
          await relay.close();
        }
      }
    } finally {
      client.destroy();
      await redis.close();
    }
  }, 30_000);

  test("when it hears again it says so at once, so that the next message is not lost in the reset", async () => {
    const redis = await startService("redis");
    const site = await wagtailSite(redis.url);
    const relay = createRelay({ url: redis.url, onError: () => {} });
    try {
      const heard: Announcement[] = [];
      /** What had been announced when it was up again. */
      let then: Announcement[] = [];
      await relay.bus.subscribe("finals", (announcement) => heard.push(announcement));
      await site.publish("finals", { renders: [["a", true, sitePost("a", "A")]] });
      await eventually(() => expect(heard).toHaveLength(1));
      relay.bus.onStatus!((status) => {
        if (status === "up") then = [...heard];
      });
      await redis.kill();
      await redis.start();
      await eventually(() => expect(then).not.toEqual([]), 20_000);
      expect(then.slice(1)).toEqual([{ cursor: expect.stringMatching(/\.0$/) }]);
      const [before, after] = then.map(({ cursor }) => parseCursor(cursor)!.epoch);
      expect(after).not.toBe(before);
    } finally {
      await relay.close();
      site.close();
      await redis.close();
    }
  }, 45_000);
});
