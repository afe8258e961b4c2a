/** The conformance suites: hand one your own bus, log, adapter or store, and your test runner. */
export { type AdapterSuiteOptions, adapterSuite } from "./adapter-suite.ts";
export { type BusSuiteOptions, busSuite } from "./bus-suite.ts";
export { type LogSuiteOptions, logSuite } from "./log-suite.ts";
export { type PollingSuiteOptions, pollingSuite } from "./polling-suite.ts";
export { eventually, type Made, type Runner } from "./runner.ts";
export type { RunnerThatSkips, Started } from "./site.ts";
export { type SseSuiteOptions, sseSuite } from "./sse-suite.ts";
export { type StoreSuiteOptions, storeSuite } from "./store-suite.ts";
