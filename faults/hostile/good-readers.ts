/** Good readers, and the newsroom that they read, in a process of their own: so that strangers cost them no time but the server's. */
import { type ChildProcess, fork } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

export interface GoodReaders {
  /** Of what they got since they were last asked: milliseconds from the request that posted it. Rejects when one was lost. */
  latencies(): Promise<readonly number[]>;
  end(): void;
}

interface Start {
  readonly host: string;
  readonly channel: string;
  readonly authorization: string;
}

interface Report {
  readonly latencies: readonly number[];
  readonly failure: string | undefined;
}

export const GOOD_READERS = 20;
const POSTS_PER_SECOND = 10;

/** Resolves when they read, and the newsroom writes. */
export async function startGoodReaders(start: Start): Promise<GoodReaders> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: "inherit" });
  await asked(child, start);
  return {
    async latencies() {
      const { latencies, failure } = await asked(child, "report");
      if (failure !== undefined) throw new Error(failure);
      return latencies;
    },
    end: () => void child.kill("SIGKILL"),
  };
}

function asked(child: ChildProcess, question: Start | "report"): Promise<Report> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error("the good readers' process has ended"));
    child.once("exit", ended);
    child.once("message", (answer) => {
      child.off("exit", ended);
      resolve(answer as Report);
    });
    child.send(question);
  });
}

/** In the process of their own. */
function serve(): void {
  let latencies: number[] = [];
  let failure: string | undefined;

  async function read({ host, channel }: Start): Promise<void> {
    const socket = new WebSocket(`ws://${host}/ws/channel/${channel}/?cursor=`);
    socket.on("message", (data) => {
      const now = Date.now();
      for (const [, sent] of String(data).matchAll(/⟦(\d+)⟧/g)) latencies.push(now - Number(sent));
    });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    socket.on("close", (code) => {
      failure ??= `a good reader was closed with ${code}`;
    });
  }

  async function write({ host, channel, authorization }: Start): Promise<void> {
    for (;;) {
      const due = performance.now() + 1_000 / POSTS_PER_SECOND;
      const content = [{ type: "text", value: `⟦${Date.now()}⟧ ${"goal ".repeat(40)}` }];
      const answer = await fetch(`http://${host}/api/pages/${channel}/posts`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify({ content }),
      });
      await answer.arrayBuffer();
      if (answer.status !== 201) throw new Error(`a post was answered ${answer.status}`);
      await wait(Math.max(0, due - performance.now()));
    }
  }

  const report = () => {
    process.send!({ latencies, failure } satisfies Report);
    latencies = [];
  };
  process.on("message", async (question: Start | "report") => {
    if (question === "report") return report();
    await Promise.all(Array.from({ length: GOOD_READERS }, () => read(question)));
    write(question).catch((error: unknown) => {
      failure ??= String(error);
    });
    report();
  });
  process.on("disconnect", () => process.exit());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve();
