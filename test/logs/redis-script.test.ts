import assert from "node:assert/strict";
import fc from "fast-check";
import { afterAll, beforeAll, it } from "vitest";
import type { Log, Since } from "../../src/logs/log.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { redisLog } from "../../src/logs/redis.ts";
import { type Announcement, type Draft, draftUpdate, parseCursor } from "../../src/protocol.ts";
import { describeWith } from "../support/describe-with.ts";
import { type Service, startService } from "../support/services.ts";

describeWith("redis", () => {
  let server: Service;
  beforeAll(async () => {
    server = await startService("redis");
  });
  afterAll(() => server.close());

  it("do in Redis what registers do in memory, whatever comes", async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ draft: draft(), key: fc.option(fc.constantFrom("k", "l")) }), { maxLength: 15 }),
        async (steps) => {
          const pair = [memoryLog(), redisLog({ url: server.url, prefix: `${++runs}:` })] as const;
          try {
            for (const { draft, key } of steps) {
              await alike(pair, async (log) => {
                const options = key === null ? {} : { idempotencyKey: key };
                return seqOnly(await log.append("page", draft, options));
              });
            }
            const heads = await Promise.all(pair.map(async (log) => (await log.heads(["page"]))[0]!));
            for (let seq = 0; seq <= steps.length + 1; seq++) {
              await alike(pair, async (log, i) => {
                const { epoch } = parseCursor(heads[i]!)!;
                return sinceOnly(await log.since("page", `${epoch}.${seq}`));
              });
            }
            await alike(pair, async (log) => sinceOnly(await log.since("page", null)));
          } finally {
            for (const log of pair) await log.close();
          }
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});

// --- words of the tests ------------------------------------------------------------------------------------

const id = () => fc.constantFrom("a", "b", "__proto__", "10", "9", "é {}");

function draft(): fc.Arbitrary<Draft> {
  const render = fc.record(
    {
      id: id(),
      show: fc.boolean(),
      content: fc.constantFrom("", "A", "1 2 s - 3 B", "\u0000\n💥"),
      version: fc.constantFrom(-1, 0, 1, 2, Number.MAX_SAFE_INTEGER),
    },
    { requiredKeys: ["id", "show", "content"] },
  );
  const renders = fc.uniqueArray(render, { selector: (one) => one.id, maxLength: 4 });
  return fc
    .tuple(renders, fc.uniqueArray(id(), { maxLength: 2 }))
    .map(([some, gone]) => draftUpdate(some, gone));
}

/** Epochs are random: what is left of a cursor is its number. */
function seqOnly(answer: Announcement): unknown {
  const { seq } = parseCursor(answer.cursor)!;
  if (!("renders" in answer)) return { seq };
  return { seq, renders: [...answer.renders], removals: [...answer.removals].sort() };
}

function sinceOnly(answer: Since): unknown {
  if ("reset" in answer) return { reset: parseCursor(answer.reset)!.seq };
  return { entry: seqOnly(answer.entry), more: answer.more };
}

async function alike(
  logs: readonly [Log, Log],
  ask: (log: Log, i: number) => Promise<unknown>,
): Promise<void> {
  const [memory, redis] = await Promise.all(
    logs.map((log, i) => ask(log, i).catch((error: { code?: string }) => ({ code: error.code ?? error }))),
  );
  assert.deepEqual(redis, memory);
}
