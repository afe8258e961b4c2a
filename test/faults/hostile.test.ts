import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ATTACKS } from "../../faults/hostile/attacks.ts";
import { type Siege, startSiege } from "../../faults/hostile/siege.ts";

// `npm run faults:hostile` does it twenty times as hard, the slow ones too, and each on a server of its own.

/** No measure of how fast it is: of whether it stands still. */
const STANDS_STILL_MS = 10_000;

let siege: Siege;
beforeAll(async () => {
  siege = await startSiege({
    scale: 0.05,
    maxConnectionsPerAddress: 100,
    quietMs: 0,
    latencyMs: STANDS_STILL_MS,
  });
});
afterAll(() => siege?.end());

describe("strangers who mean ill end as PROTOCOL.md has it, and cost the server no more memory than is promised", () => {
  it.each(ATTACKS.filter(({ isLong }) => !isLong).map((attack) => [attack.name, attack] as const))(
    "%s",
    async (_name, attack) => {
      expect((await siege.suffer(attack)).wrong).toEqual([]);
    },
    60_000,
  );
});
