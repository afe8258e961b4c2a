/** Reporters who write, edit, hide, show and delete posts over the API, each change until it is answered. */
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "../random.ts";
import type { Change, Kind, Ledger, Standing } from "./judge.ts";

export interface Newsroom {
  readonly ledger: Ledger;
  /** Of changes that were answered so far. */
  readonly changes: number;
  /** Requests that were answered with "try again" (5xx), and were sent again. */
  readonly refused: number;
  /** Requests that broke, or whose answer came too late, and were sent again. */
  readonly unanswered: number;
  /** Answers that should not be. */
  readonly wrong: readonly string[];
  /** Resolves when the last change is answered. */
  end(): Promise<void>;
  /** Waits for no answer any more. */
  abandon(): void;
}

export interface NewsroomOptions {
  readonly channel: string;
  /** `host:port` of the servers. */
  readonly hosts: readonly string[];
  readonly authorization: string;
  readonly random: Random;
  readonly reporters: number;
  /** Milliseconds that a reporter waits between two changes, on average. */
  readonly pauseMs: number;
  /** A request that is not answered by then is sent again, to the next server. Default 4,000 ms. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 4_000;

export function startNewsroom(options: NewsroomOptions): Newsroom {
  const { channel, hosts, authorization, random, reporters, pauseMs, patienceMs = PATIENCE_MS } = options;
  const ledger = new Map<string, Change[]>();
  const wrong: string[] = [];
  /** Posts that a reporter works on now: each is one reporter's at a time, as behind any editor's lock. */
  const taken = new Set<string>();
  /** For each post that is there, its ETag. */
  const versions = new Map<string, string>();
  const list = `/api/pages/${encodeURIComponent(channel)}/posts`;
  let changes = 0;
  let refused = 0;
  let unanswered = 0;
  let turn = 0;
  let hasEnded = false;
  let isAbandoned = false;

  /** Sends a request until it is answered with something else than "try again". */
  async function ask(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer & { readonly isFirst: boolean }> {
    let isFirst = true;
    for (;;) {
      if (isAbandoned) throw new Error("the newsroom was abandoned");
      const init = {
        method,
        headers: { authorization, ...(body && { "content-type": "application/json" }), ...headers },
        ...(body && { body: JSON.stringify(body) }),
      };
      const answer = await request(`http://${hosts[turn++ % hosts.length]}${path}`, init, patienceMs);
      if (answer && answer.status < 500) return { ...answer, isFirst };
      if (answer && answer.status !== 503)
        wrong.push(`${method} ${path} was answered ${answer.status}: ${answer.text}`);
      // Also one that was answered with "try again" may have been carried out.
      isFirst = false;
      if (answer) refused++;
      else unanswered++;
      await wait(100 + random.between(0, 200));
    }
  }

  function acknowledge(id: string, kind: Kind, sent: number): void {
    const history = ledger.get(id) ?? [];
    history.push({ kind, sent, acknowledged: Date.now() });
    ledger.set(id, history);
    changes++;
  }

  const content = (mark: number) => {
    const length = random.chance(0.05) ? random.integer(10_000, 40_000) : random.integer(20, 400);
    return [{ type: "text", value: `⟦${mark}⟧ ${"goal ".repeat(length / 5)}` }];
  };

  async function write(): Promise<void> {
    const sent = Date.now();
    const show = !random.chance(0.1);
    const answer = await ask(
      "POST",
      list,
      { content: content(0), show },
      { "idempotency-key": randomUUID() },
    );
    if (answer.status !== 201) return void wrong.push(`POST was answered ${answer.status}: ${answer.text}`);
    const { id } = JSON.parse(answer.text) as { id: string };
    if (ledger.has(id)) wrong.push(`two requests made one post: ${id}`);
    acknowledge(id, show ? "shown" : "hidden", sent);
    versions.set(id, answer.etag!);
  }

  async function change(id: string): Promise<void> {
    const sent = Date.now();
    const path = `${list}/${encodeURIComponent(id)}`;
    const condition = { "if-match": versions.get(id)! };
    if (random.chance(0.08)) {
      const { status, text, isFirst } = await ask("DELETE", path, undefined, condition);
      // When a first answer was lost, the second is that it is gone.
      if (status !== 204 && (status !== 404 || isFirst))
        return void wrong.push(`DELETE was answered ${status}: ${text}`);
      versions.delete(id);
      acknowledge(id, "removed", sent);
      return;
    }
    const mark = ledger.get(id)!.length;
    const show = !random.chance(0.25);
    const body = { content: content(mark), show };
    let answer = await ask("PATCH", path, body, condition);
    // When a first answer was lost, the second is that the version is another now: ours, or the store is wrong.
    if (answer.status === 412) answer = await ask("GET", path);
    if (answer.status !== 200) return void wrong.push(`PATCH was answered ${answer.status}: ${answer.text}`);
    const stored = (JSON.parse(answer.text) as Stored).content[0]!.value;
    if (!stored.startsWith(`⟦${mark}⟧`))
      wrong.push(`${id} is ${stored.slice(0, 20)} after ⟦${mark}⟧ was written`);
    versions.set(id, answer.etag!);
    acknowledge(id, show ? "shown" : "hidden", sent);
  }

  async function reporter(): Promise<void> {
    while (!hasEnded) {
      const free = [...versions.keys()].filter((id) => !taken.has(id));
      if (free.length < 5 || random.chance(0.35)) await write();
      else {
        // Mostly the newest: that is where the news are.
        const id = random.chance(0.7) ? free.at(-random.integer(1, 5))! : random.pick(free);
        taken.add(id);
        await change(id);
        taken.delete(id);
      }
      await wait(random.between(0, 2 * pauseMs));
    }
  }

  const work = Promise.all(Array.from({ length: reporters }, reporter));
  // Whoever ends the newsroom hears of it. Until then nobody waits, and Node would end every schedule.
  work.catch(() => {});
  return {
    ledger,
    wrong,
    get changes() {
      return changes;
    },
    get refused() {
      return refused;
    },
    get unanswered() {
      return unanswered;
    },
    async end() {
      hasEnded = true;
      await work;
    },
    abandon() {
      hasEnded = true;
      isAbandoned = true;
    },
  };
}

interface Stored {
  readonly id: string;
  readonly show: boolean;
  readonly content: readonly { readonly value: string }[];
}

/** The store's page: the posts shown, newest first. */
export async function storedPage(host: string, channel: string, authorization: string): Promise<Standing[]> {
  const shown: Standing[] = [];
  for (let after = ""; ; ) {
    const url = `http://${host}/api/pages/${encodeURIComponent(channel)}/posts?limit=200${after}`;
    const answer = await request(url, { headers: { authorization } });
    if (answer?.status !== 200) throw new Error(`${url} was answered ${answer?.status}: ${answer?.text}`);
    const { items, next } = JSON.parse(answer.text) as { items: Stored[]; next: string | null };
    for (const { id, show, content } of items) {
      if (show) shown.push([id, Number(/^⟦(\d+)⟧/.exec(content[0]!.value)![1])]);
    }
    if (next === null) return shown;
    after = `&after=${next}`;
  }
}

interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly text: string;
}

/** @returns `undefined` when there was no answer in time. */
async function request(
  url: string,
  init: RequestInit,
  patienceMs: number = PATIENCE_MS,
): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(patienceMs) });
    return { status: response.status, etag: response.headers.get("etag"), text: await response.text() };
  } catch {
    return undefined;
  }
}
