import type { RunnerThatSkips } from "../../src/testing/site.ts";

/** Runs tests one after another where there is no Vitest, and prints each one's outcome as a line of JSON. */
export async function tell(register: (runner: RunnerThatSkips) => void): Promise<void> {
  const tests: { name: string; body: () => Promise<void> }[] = [];
  const it = (name: string, body: () => Promise<void>) => void tests.push({ name, body });
  register({ describe: (_name, body) => body(), it: Object.assign(it, { skip: () => {} }) });
  for (const { name, body } of tests) {
    const error = await body().then(
      () => null,
      (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)),
    );
    console.log(JSON.stringify({ name, error }));
  }
  process.exit();
}

/** What Bun cannot do for any adapter. */
export const LEFT_OUT_ON_BUN = {
  "who goes on sending after its code, and answers no close, is cut off":
    "Bun throws away what comes, and cuts off after a quarter of a minute: nothing makes it sooner",
};

/** What is used of Bun here. */
export interface BunRuntime {
  serve(options: object): BunServer;
}

export interface BunServer {
  readonly port: number;
  stop(closeActive: boolean): Promise<void>;
  requestIP(request: Request): { readonly address: string } | null;
}

/** A server on Bun, as a suite takes it. */
export function serveOnBun(options: object): { url: string; close(): Promise<void> } {
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", ...options });
  return { url: `ws://127.0.0.1:${server.port}`, close: () => server.stop(true) };
}
