/** What a kind of stranger is, and what those of all kinds do. */
import { setTimeout as wait } from "node:timers/promises";
import type { OneServer } from "../one-server.ts";
import { type Ending, type Stranger, stranger } from "./stranger.ts";

export interface Attack {
  readonly name: string;
  /** How each may end. */
  readonly ends: readonly Ending[];
  /** Takes so long that CI leaves it out. */
  readonly isLong?: boolean;
  /** What it may cost the server in all. Default {@link MEMORY_MB}. */
  readonly memoryMb?: number;
  /** What each of those that stay may cost the server, in kB, beside that. Default 0. */
  readonly memoryKb?: number;
  /** It comes with posts of a megabyte: to write those to a thousand readers takes its time, whoever they are. */
  readonly isBig?: boolean;
  /**
   * @param scale 1 for all of it, less for a part.
   * @param limit how many connections the server allows an address.
   * @returns how each ended.
   */
  readonly run: (server: OneServer, scale: number, limit: number) => Promise<readonly Ending[]>;
}

/** The page that good readers read, and that is written to all the time. */
export const CHANNEL = "the-finals";
/** What hardly any attack may exceed: garbage that V8 has not collected yet, most of it. */
export const MEMORY_MB = 150;
export const SOON_MS = 15_000;
/** A flood goes on for so long, unless it is ended. */
export const FLOOD_MS = 3_000;

/** Of the loopback, one for each attack, so that none is met with another's limit. */
let lastAddress = 0;
export function newAddress(): string {
  lastAddress++;
  return `127.0.${1 + Math.floor(lastAddress / 250)}.${1 + (lastAddress % 250)}`;
}

export const many = <T>(n: number, make: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: Math.max(1, Math.round(n)) }, (_, i) => make(i)));

/** So many, a few at a time. */
export async function inTurn<T>(n: number, atOnce: number, make: (n: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let done = 0; done < n; done += atOnce) {
    all.push(...(await many(Math.min(atOnce, n - done), (i) => make(done + i))));
  }
  return all;
}

export interface FloodOptions {
  readonly reads?: boolean;
  readonly patienceMs?: number;
}

/** Sends the same again and again, and reads nothing meanwhile unless told to. */
export async function flood(
  one: Stranger,
  bytes: Buffer | string,
  { reads = false, patienceMs = SOON_MS }: FloodOptions = {},
): Promise<Ending> {
  const until = Date.now() + FLOOD_MS;
  if (!reads) one.socket.pause();
  while (!one.isGone && one.socket.writable && Date.now() < until) {
    // What the server does not take any more must not keep this one here.
    await Promise.race([one.send(bytes), wait(500)]);
    await wait(0);
  }
  one.socket.resume();
  const ending = await one.ending(patienceMs);
  one.socket.destroy();
  // Whatever it was told: it has not been cut off.
  return one.isGone ? ending : "kept";
}

/** Strangers that send something once, and wait how it is answered. */
export async function saying(
  port: number,
  n: number,
  bytes: Buffer | string,
  patienceMs: number = SOON_MS,
): Promise<readonly Ending[]> {
  const from = newAddress();
  return inTurn(n, 100, async () => {
    const one = await stranger(port, from);
    await one.send(bytes);
    const ending = await one.ending(patienceMs);
    one.socket.destroy();
    return ending;
  });
}

/** Posts of almost a megabyte each, as large as they may be; returns what takes them away again. */
export async function writeBig({ api }: OneServer, posts: number): Promise<() => Promise<void>> {
  const list = `/api/pages/${CHANNEL}/posts`;
  const content = [{ type: "text", value: "big ".repeat(225_000) }];
  const ids: string[] = [];
  for (let n = 0; n < posts; n++) {
    const answer = await api("POST", list, { content });
    if (answer.status !== 201) throw new Error(`a post was answered ${answer.status}`);
    ids.push(((await answer.json()) as { id: string }).id);
  }
  return async () => {
    for (const id of ids) await (await api("DELETE", `${list}/${id}`)).arrayBuffer();
  };
}

export const leave = (all: readonly Stranger[]): void => {
  for (const { socket } of all) socket.destroy();
};
