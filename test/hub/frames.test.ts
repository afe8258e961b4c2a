import { describe, expect, it } from "vitest";
import { keepAnswers } from "../../src/hub/frames.ts";
import type { Since } from "../../src/logs/log.ts";

function answer(cursor: string, content = ""): () => Promise<Since> {
  const renders = new Map([["a", { show: true, content, at: 1 }]]);
  return async () => ({ entry: { renders, removals: [], cursor }, more: false });
}

describe("kept answers", () => {
  const channel = {};

  it("are asked for once, until the channel moves on", async () => {
    const answers = keepAnswers(1_000_000);
    let asked = 0;
    const ask = async () => {
      asked++;
      return answer("e.2")();
    };
    await Promise.all([answers.get(channel, "e.1", ask), answers.get(channel, "e.1", ask)]);
    await answers.get(channel, "e.1", ask);
    expect(asked).toBe(1);
    await answers.get({}, "e.1", ask);
    expect(asked).toBe(2);
    answers.drop(channel);
    await answers.get(channel, "e.1", ask);
    expect(asked).toBe(3);
  });

  it("that failed are asked for again", async () => {
    const answers = keepAnswers(1_000_000);
    const fails = () => Promise.reject(new Error("away"));
    await expect(answers.get(channel, "e.1", fails)).rejects.toThrow("away");
    expect((await answers.get(channel, "e.1", answer("e.2"))).cursor).toBe("e.2");
  });

  it("take a bounded number of bytes, oldest out first", async () => {
    const answers = keepAnswers(100_000);
    const text = "x".repeat(10_000);
    for (let n = 0; n < 100; n++) await answers.get(channel, `e.${n}`, answer("e.100", text));
    const isKept = async (n: number) => {
      let asked = false;
      await answers.get(channel, `e.${n}`, async () => {
        asked = true;
        return answer("e.100")();
      });
      return !asked;
    };
    expect(await isKept(99)).toBe(true);
    expect(await isKept(0)).toBe(false);
    expect(await isKept(50)).toBe(false);
  });

  it("under way when the channel moves on are not kept", async () => {
    const answers = keepAnswers(1_000_000);
    const before = answers.get(channel, "e.1", answer("e.2"));
    answers.drop(channel);
    await before;
    expect((await answers.get(channel, "e.1", answer("e.3"))).cursor).toBe("e.3");
  });
});
