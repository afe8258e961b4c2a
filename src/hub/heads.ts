/** The last update announced may have been lost, or never announced: nothing on the bus would tell. So the log is asked. */
import type { BusStatus } from "../buses/bus.ts";
import type { Asking, OnError } from "./asking.ts";
import type { Channel } from "./channel.ts";

const HEADS_ASKED_MS = { up: 5_000, down: 1_000 } as const;

export interface HeadsAsked {
  /** At once when the bus is back, more often while it is away. */
  busIs(status: BusStatus): void;
  stop(): void;
}

export interface HeadsOptions {
  readonly channels: Iterable<Channel>;
  readonly asking: Asking;
  readonly onError: OnError;
  readonly refresh: (channel: Channel) => void;
}

/** Asks for the heads of all pages now and then, in one question. */
export function askHeads({ channels, asking, onError, refresh }: HeadsOptions): HeadsAsked {
  let status: BusStatus = "up";
  let timer: NodeJS.Timeout | undefined;

  async function ask(): Promise<void> {
    const asked = [...channels].filter(({ head }) => head !== "");
    if (asked.length === 0) return;
    try {
      const heads = await asking.heads(asked.map(({ id }) => id));
      for (const [i, channel] of asked.entries()) if (heads[i] !== channel.head) refresh(channel);
    } catch (error) {
      onError(error, { stage: "heads" });
    }
  }

  function askIn(ms: number): void {
    clearTimeout(timer);
    const own = setTimeout(async () => {
      await ask();
      // Unless it was set anew, or stopped, while the log was asked.
      if (timer === own) askIn(HEADS_ASKED_MS[status]);
    }, ms).unref();
    timer = own;
  }

  askIn(HEADS_ASKED_MS.up);

  return {
    busIs(now) {
      status = now;
      askIn(now === "up" ? 0 : HEADS_ASKED_MS.down);
    },

    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
