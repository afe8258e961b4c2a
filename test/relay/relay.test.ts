import { expect, test } from "vitest";
import { type Announcement, parseCursor } from "../../src/protocol.ts";
import { createRelay } from "../../src/relay/relay.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { startService } from "../support/services.ts";
import { sitePost, wagtailSite } from "../support/wagtail.ts";

describeWith("redis", () => {
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
