/** What can go wrong, kind by kind: each begins, lasts, and is healed. */
import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "../random.ts";
import { openHistory } from "./history.ts";
import type { Link } from "./network.ts";
import type { Noise } from "./noise.ts";
import { type Reader, TRANSPORTS } from "./reader.ts";
import type { Server, Site } from "./site.ts";

/** What a fault may lay hands on. */
export interface World {
  readonly site: Site;
  readonly readers: readonly Reader[];
  readonly noise: Noise;
  readonly random: Random;
}

/** What it is done to: no two faults have hold of one thing at a time. */
export type Victim = "server" | "every server" | "store" | "bus" | "readers";

interface FaultKind {
  readonly victim: Victim;
  /** What else it has hold of. */
  readonly also?: readonly Victim[];
  /** Milliseconds. */
  readonly lasts: readonly [min: number, max: number];
  /** Resolves when all is as it was. */
  readonly run: (world: World, ms: number, server: Server) => Promise<void>;
}

async function during(ms: number, begin: () => void, heal: () => void): Promise<void> {
  begin();
  await wait(ms);
  heal();
}

const cut = (way: Link, ms: number) => during(ms, way.cut, way.mend);
const freeze = (way: Link, ms: number) => during(ms, way.freeze, way.mend);

/** A third of the readers. */
function some({ readers, random }: World): readonly Reader[] {
  return readers.filter(() => random.chance(1 / 3));
}

/** How long a history is waited for that has something to forget. */
const DELETION_WITHIN_MS = 20_000;
const LOOKED_AT_MS = 500;

/** By what the report calls it. */
export const FAULTS: Readonly<Record<string, FaultKind>> = {
  "server killed (SIGKILL)": {
    victim: "server",
    lasts: [200, 2_500],
    async run(_world, ms, server) {
      await server.kill();
      await wait(ms);
      await server.start();
    },
  },
  "server restarted (SIGTERM)": {
    victim: "server",
    lasts: [0, 500],
    async run(_world, ms, server) {
      await server.stop();
      await wait(ms);
      await server.start();
    },
  },
  "server stopped for a while (SIGSTOP)": {
    victim: "server",
    lasts: [1_000, 4_000],
    run: (_world, ms, server) => during(ms, server.pause, server.resume),
  },
  "server's clock wrong": {
    victim: "server",
    lasts: [3_000, 6_000],
    run: ({ random }, ms, server) =>
      during(
        ms,
        () => server.skew(random.pick([-86_400_000, -60_000, 60_000, 86_400_000])),
        () => server.skew(0),
      ),
  },
  "store killed": {
    victim: "store",
    lasts: [200, 2_500],
    async run({ site }, ms) {
      await site.store.kill();
      await wait(ms);
      await site.startAgain(site.store);
    },
  },
  "store stopped for a while": {
    victim: "store",
    lasts: [1_000, 4_000],
    run: ({ site: { store } }, ms) => during(ms, store.pause, store.resume),
  },
  "store's disk full": {
    victim: "store",
    lasts: [2_000, 4_000],
    async run({ site: { disk } }, ms) {
      disk!.fill();
      await wait(ms);
      await disk!.free();
    },
  },
  "bus killed": {
    victim: "bus",
    lasts: [200, 3_000],
    async run({ site }, ms) {
      await site.busService.kill();
      await wait(ms);
      await site.startAgain(site.busService);
    },
  },
  "bus stopped for a while": {
    victim: "bus",
    lasts: [1_000, 4_000],
    run: ({ site: { busService } }, ms) => during(ms, busService.pause, busService.resume),
  },
  "bus repeats and reorders": {
    victim: "bus",
    lasts: [2_000, 4_000],
    run: ({ noise }, ms) => during(ms, noise.begin, noise.end),
  },
  "server cut off from its readers": {
    victim: "server",
    lasts: [500, 3_000],
    run: (_world, ms, { front }) => cut(front, ms),
  },
  "server's readers frozen": {
    victim: "server",
    lasts: [1_000, 4_000],
    run: (_world, ms, { front }) => freeze(front, ms),
  },
  "server's readers half open": {
    victim: "server",
    lasts: [0, 0],
    run: async (_world, _ms, { front }) => front.forget(),
  },
  "server cut off from the store": {
    victim: "server",
    lasts: [500, 3_000],
    run: (_world, ms, { toStore }) => cut(toStore, ms),
  },
  "server's way to the store half open": {
    victim: "server",
    lasts: [0, 0],
    run: async (_world, _ms, { toStore }) => toStore.forget(),
  },
  "server cut off from the bus": {
    victim: "server",
    lasts: [500, 3_000],
    run: (_world, ms, { toBus }) => cut(toBus, ms),
  },
  "server's way to the bus half open": {
    victim: "server",
    lasts: [0, 0],
    run: async (_world, _ms, { toBus }) => toBus.forget(),
  },
  "server's way to the bus frozen": {
    victim: "server",
    lasts: [1_000, 4_000],
    run: (_world, ms, { toBus }) => freeze(toBus, ms),
  },
  "readers stall": {
    victim: "readers",
    lasts: [2_000, 4_000],
    async run(world, ms) {
      for (const reader of some(world)) reader.stall(ms);
      await wait(ms);
    },
  },
  "readers asleep": {
    victim: "readers",
    lasts: [1_000, 5_000],
    async run(world, ms) {
      for (const reader of some(world)) reader.sleep(ms);
      await wait(ms);
    },
  },
  "readers move": {
    victim: "readers",
    lasts: [0, 0],
    async run(world) {
      for (const reader of some(world)) reader.move(world.random.pick(TRANSPORTS));
    },
  },
  "history purged": {
    victim: "store",
    also: ["every server", "readers"],
    lasts: [2_000, 4_000],
    async run(world, ms) {
      const { site } = world;
      const history = await openHistory(site.store.url);
      const asleep = some(world);
      const sleepOn = (more: number) => {
        for (const reader of asleep) reader.sleep(more + 2 * LOOKED_AT_MS);
        return wait(more);
      };
      try {
        const before = await history.newest();
        // Chromium's pages do not sleep at will.
        site.balancer.cut();
        await sleepOn(ms);
        const end = Date.now() + DELETION_WITHIN_MS;
        while (Date.now() < end && !(await history.hasDeletedSince(before))) await sleepOn(LOOKED_AT_MS);
        const sleeping = setInterval(sleepOn, LOOKED_AT_MS, LOOKED_AT_MS);
        try {
          await history.purge();
          // Who was there meanwhile still knows the updates of these seconds, and would answer from memory.
          await Promise.all(site.servers.map((server) => server.stop().then(server.start)));
        } finally {
          clearInterval(sleeping);
        }
        // Of who is asleep when it is healed nobody takes the time.
        await wait(3 * LOOKED_AT_MS);
      } finally {
        site.balancer.mend();
        await history.close();
      }
    },
  },
};
