/**
 * Runs the conformance suite on Bun, and prints each test's outcome as a line of JSON. Started by bun.test.ts.
 */
import { type BunServer, bunWebSocket } from "../../src/adapters/bun.ts";
import type { Hub } from "../../src/hub/hub.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";

declare const Bun: {
  serve(options: object): BunServer & { readonly port: number; stop(closeActive: boolean): Promise<void> };
};

async function start(hub: Hub) {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", ...bunWebSocket(hub) });
  return { url: `ws://127.0.0.1:${server.port}`, close: () => server.stop(true) };
}

const tests: { name: string; body: () => Promise<void> }[] = [];
const it = Object.assign((name: string, body: () => Promise<void>) => tests.push({ name, body }), {
  skip: () => {},
});
adapterSuite({ describe: (_name, body) => body(), it }, { start });

for (const { name, body } of tests) {
  let error: string | undefined;
  try {
    await body();
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  console.log(JSON.stringify({ name, error }));
}
