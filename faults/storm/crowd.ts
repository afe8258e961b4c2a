/** Readers by the thousand, in processes of their own. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Standing } from "../processes/judge.ts";

export type ToCrowd =
  | { readonly kind: "join"; readonly url: string; readonly cursor: string; readonly readers: number }
  | { readonly kind: "storm" }
  | { readonly kind: "acknowledged"; readonly mark: number }
  | { readonly kind: "report" };

export type FromCrowd =
  | { readonly kind: "ready" | "joined" | "back" }
  | { readonly kind: "report"; readonly report: CrowdReport };

export interface CrowdReport {
  /** Attempts to connect since the storm began; milliseconds since the epoch, 0: never. */
  readonly readers: readonly {
    readonly attempts: number;
    readonly lostAt: number;
    readonly backAt: number;
    /** When it was to try first after its loss. */
    readonly dueAt: number;
  }[];
  /** What readers show, newest first, and how many show it. */
  readonly pages: readonly { readonly count: number; readonly shown: readonly Standing[] }[];
  /** Cursors that were asked with since the storm began. */
  readonly joinedWith: readonly string[];
  readonly resets: number;
  readonly breaches: readonly string[];
}

export interface Crowd {
  /** From now on it notes who loses its connection, and when it is equal to the store again. */
  storm(): Promise<void>;
  /** The newsroom was told that all up to this mark is on disk. */
  acknowledge(mark: number): void;
  /** Resolves when every reader has been lost, and equal to the store again. */
  back(): Promise<void>;
  report(): Promise<CrowdReport>;
  end(): void;
}

export interface CrowdOptions {
  /** Of the page's WebSocket. */
  readonly url: string;
  readonly cursor: string;
  readonly readers: number;
  readonly processes: number;
}

/** Resolves when all have joined. */
export async function gatherCrowd({ url, cursor, readers, processes }: CrowdOptions): Promise<Crowd> {
  const children = Array.from({ length: processes }, () =>
    fork(fileURLToPath(new URL("crowd-process.ts", import.meta.url)), { stdio: "inherit" }),
  );
  const share = Math.ceil(readers / processes);
  await Promise.all(
    children.map(async (child, n) => {
      await heard(child, "ready");
      const joined = heard(child, "joined");
      tell(child, { kind: "join", url, cursor, readers: Math.min(share, readers - n * share) });
      await joined;
    }),
  );
  const back = Promise.all(children.map((child) => heard(child, "back")));
  back.catch(() => {});
  return {
    async storm() {
      await Promise.all(children.map((child) => asked(child, { kind: "storm" }, "ready")));
    },
    acknowledge(mark) {
      for (const child of children) tell(child, { kind: "acknowledged", mark });
    },
    async back() {
      await back;
    },
    async report() {
      const reports = await Promise.all(
        children.map(async (child) => (await asked(child, { kind: "report" }, "report")).report),
      );
      const pages = new Map<string, CrowdReport["pages"][number]>();
      for (const { count, shown } of reports.flatMap((one) => one.pages)) {
        const name = JSON.stringify(shown);
        pages.set(name, { shown, count: count + (pages.get(name)?.count ?? 0) });
      }
      return {
        readers: reports.flatMap((one) => one.readers),
        pages: [...pages.values()],
        joinedWith: [...new Set(reports.flatMap((one) => one.joinedWith))],
        resets: reports.reduce((sum, one) => sum + one.resets, 0),
        breaches: reports.flatMap((one) => one.breaches),
      };
    },
    end() {
      for (const child of children) child.kill();
    },
  };
}

function tell(child: ChildProcess, message: ToCrowd): void {
  child.send(message);
}

function asked<K extends FromCrowd["kind"]>(child: ChildProcess, message: ToCrowd, kind: K) {
  const answer = heard(child, kind);
  tell(child, message);
  return answer;
}

function heard<K extends FromCrowd["kind"]>(
  child: ChildProcess,
  kind: K,
): Promise<Extract<FromCrowd, { kind: K }>> {
  return new Promise((resolve, reject) => {
    const hear = (message: FromCrowd) => {
      if (message.kind !== kind) return;
      child.off("message", hear);
      child.off("exit", gone);
      resolve(message as Extract<FromCrowd, { kind: K }>);
    };
    const gone = (code: number | null) => reject(new Error(`a process of readers ended with ${code}`));
    child.on("message", hear);
    child.once("exit", gone);
  });
}
