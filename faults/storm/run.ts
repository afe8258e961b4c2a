/**
 * A reconnect storm: all readers of a server lose it at once, as it is restarted (SIGTERM) or dies (SIGKILL), while the
 * newsroom goes on. Ends with 1 when a reader's page is not the store's in the end, or readers are asked back all
 * at once.
 *
 * npm run faults:storm [-- --readers 5000 --posts-per-second 10 --endings SIGTERM,SIGKILL --processes 2]
 */
import { availableParallelism, loadavg } from "node:os";
import { endOnSignals } from "../ending.ts";
import { oneOf, readFlags, wholeNumber } from "../flags.ts";
import type { Spread } from "../spread.ts";
import { ENDINGS, runStorm } from "./storm.ts";

endOnSignals();
const values = readFlags({
  readers: { type: "string", default: "5000" },
  "posts-per-second": { type: "string", default: "10" },
  endings: { type: "string", default: "SIGTERM,SIGKILL" },
  processes: { type: "string", default: "2" },
});

const seconds = ({ p50, p99, last }: Spread) => [p50, p99, last].map((ms) => `${(ms / 1000).toFixed(1)} s`);
const plain = ({ p50, p99, last }: Spread) => [p50, p99, last].map(String);

const [readers, postsPerSecond, processes] = (["readers", "posts-per-second", "processes"] as const).map(
  (name) => wholeNumber(`--${name}`, values[name], { least: 1 }),
) as [number, number, number];
const endings = values.endings.split(",").map((name) => oneOf("--endings", name, ENDINGS));
console.log(`${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)} before`);
for (const ending of endings) {
  const outcome = await runStorm({ ending, readers, postsPerSecond, processes });
  const rows = [
    ["", "p50", "p99", "last"],
    ["loss to equality", ...seconds(outcome.backMs)],
    ["attempts to connect", ...plain(outcome.attempts)],
  ];
  console.log(`
${ending}: ${outcome.readers} readers, nobody listened for ${(outcome.awayMs / 1000).toFixed(1)} s, ${outcome.posts} changes in all
${rows.map((row) => row.map((cell, n) => (n ? cell.padStart(8) : cell.padEnd(20))).join(" ")).join("\n")}
from the first loss until all were back: ${(outcome.allBackMs / 1000).toFixed(1)} s
${outcome.returns ? `asked back: ${outcome.returns.peak} in the fullest second, ${Math.round(outcome.returns.average)} on average` : "nobody was asked back"}
server: ${outcome.cpuSeconds.toFixed(1)} s of CPU, ${Math.round(outcome.peakMemory / 2 ** 20)} MB at most
catch-ups computed: ${outcome.catchUps}, for ${outcome.cursors} cursors while the page moved ${outcome.heads} times; resets: ${outcome.resets}
breaches: ${outcome.breaches.length}${outcome.breaches
    .slice(0, 10)
    .map((breach) => `\n  ${breach}`)
    .join("")}
load ${loadavg()[0]!.toFixed(1)} after`);
  if (outcome.breaches.length > 0) process.exitCode = 1;
}
