import type { Reporter, TestModule, TestSuite } from "vitest/node";

/** Says at the end of the output which tests were left out because their server is not installed. */
export default class LeftOut implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const names = new Set<string>();
    const look = (suite: TestSuite | TestModule) => {
      for (const child of suite.children.suites()) {
        if (child.name.startsWith("needs ")) names.add(child.name);
        look(child);
      }
    };
    for (const module of modules) look(module);
    for (const name of names) console.log(`Left out: tests that ${name.replace("needs", "need")}.`);
  }
}
