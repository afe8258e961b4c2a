import { describe, expect, test } from "vitest";
import { type Import, importsOf, readTree, type Tree } from "./support/tree.ts";

// The rules of the house. A rule is a function that names what breaks it; each is tried on the repository,
// where it must find nothing, and on a small wrong tree, where it must find something.

type Rule = (tree: Tree) => string[];

/** Tests of more than one file of `src/`: of the whole way, under faults, of all that reads what strangers send, the built client, what is written in Python, the repository, the package. */
const END_TO_END =
  /^test\/(end-to-end\/.*|examples\/.*|integrations\/.*|faults\/.*|fuzz\/.*|relay\/channels|client\/size|pages\/attacks|repo|package)\.test\.ts$/;

/** What it takes to be a bus, a log, …: whoever imports the contract's type in that folder is one. */
const KINDS = [
  { folder: "src/buses", contract: "Bus", suite: "busSuite" },
  { folder: "src/logs", contract: "Log", suite: "logSuite" },
  { folder: "src/pages", contract: "PageStore", suite: "storeSuite" },
  {
    folder: "src/adapters",
    contract: "Hub",
    suite: "adapterSuite",
    of: { "src/adapters/sse.ts": "sseSuite", "src/adapters/polling.ts": "pollingSuite" },
  },
  { folder: "src/receivers", contract: "Receiver", suite: "receiverSuite" },
] as const satisfies readonly Kind[];

interface Kind {
  readonly folder: string;
  readonly contract: string;
  readonly suite: string;
  /** Those of the folder that have a suite of their own. */
  readonly of?: Readonly<Record<string, string>>;
}

function implementations(tree: Tree): { path: string; suite: string }[] {
  return KINDS.flatMap(({ folder, contract, suite, of = {} }: Kind) =>
    imports(tree, `${folder}/`)
      .filter(({ names }) => names.includes(contract))
      .map(({ from }) => ({ path: from, suite: of[from] ?? suite })),
  );
}

/** Whom the suite of their folder cannot be asked of, and why; their own tests ask for the same in their own words. */
const WITHOUT_SUITE: Readonly<Record<string, string>> = {
  "src/adapters/socketio.ts":
    "pages are joined by events on a connection that is there already, not by a WebSocket each",
};

const passesItsSuite: Rule = (tree) =>
  implementations(tree)
    .filter(({ path }) => !Object.hasOwn(WITHOUT_SUITE, path))
    .filter(({ path, suite }) => !new RegExp(`^ *${suite}\\(`, "m").test(tree.get(testOf(path)) ?? ""))
    .map(({ path, suite }) => `${path}: ${testOf(path)} does not call ${suite}`);

const clientImportsOnlyTheProtocol: Rule = (tree) =>
  imports(tree, "src/client/")
    .filter(({ to }) => !to.startsWith("src/client/") && to !== "src/protocol.ts")
    .filter(({ from, to }) => !(from === "src/client/react.ts" && to === "react"))
    .map(arrow);

const nothingImportsTheApp: Rule = (tree) =>
  imports(tree, "src/")
    .filter(({ from, to }) => to.startsWith("src/app/") && !from.startsWith("src/app/"))
    .map(arrow);

const hubKnowsNoSocketAndNoBus: Rule = (tree) =>
  imports(tree, "src/hub/")
    .filter(
      ({ to }) =>
        to.startsWith("src/adapters/") ||
        (to.startsWith("src/buses/") && to !== "src/buses/bus.ts") ||
        (to.startsWith("src/logs/") && to !== "src/logs/log.ts") ||
        to === "ws",
    )
    .map(arrow);

const noCycles: Rule = (tree) => {
  const next = Map.groupBy(
    imports(tree, "src/").filter(({ bare }) => !bare),
    ({ from }) => from,
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) cycles.push([...way.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    for (const { to } of next.get(path) ?? []) visit(to, [...way, path]);
    done.add(path);
  };
  for (const path of next.keys()) visit(path, []);
  return cycles;
};

/** What users install must say what it needs; the rest of the repository may use what is there for its making. */
const importsAreDeclared: Rule = (tree) => {
  const { name, dependencies, peerDependencies, devDependencies } = packageJson(tree);
  const published = { ...dependencies, ...peerDependencies };
  return imports(tree, "")
    .filter(({ bare, to }) => bare && !to.startsWith("node:"))
    .filter(({ from, to }) => {
      const allowed = from.startsWith("src/") ? published : { ...published, ...devDependencies };
      const wanted = to
        .split("/")
        .slice(0, to.startsWith("@") ? 2 : 1)
        .join("/");
      return wanted !== name && !Object.hasOwn(allowed, wanted);
    })
    .map(arrow);
};

const nobodyMustInstallAPeer: Rule = (tree) => {
  const { peerDependencies = {}, peerDependenciesMeta = {} } = packageJson(tree);
  return Object.keys(peerDependencies).filter((peer) => !peerDependenciesMeta[peer]?.optional);
};

/** What users may import from a folder of `exports` with a star, besides what is a bus, a log, a store or an adapter. */
const PUBLIC: readonly string[] = [
  ...["bus", "encoding"].map((name) => `buses/${name}`),
  ...["history", "log", "registers"].map((name) => `logs/${name}`),
  ...["blocks", "embeds", "images", "model", "render", "store"].map((name) => `pages/${name}`),
  ...["delivery", "hosted", "pages", "piesocket", "publisher", "pusher", "redis"].map(
    (name) => `publishers/${name}`,
  ),
  ...["index", "nunjucks", "pages", "posts", "publisher"].map((name) => `templates/${name}`),
];

/** The star would make a new helper public unseen, and what is public cannot change any more. */
const publicModulesAreDecidedOn: Rule = (tree) => {
  const { exports } = packageJson(tree);
  const decided = [
    ...PUBLIC,
    ...implementations(tree).map(({ path }) => path.slice("src/".length, -".ts".length)),
  ];
  const modules = Object.keys(exports)
    .filter((name) => name.endsWith("/*"))
    .flatMap((name) => paths(tree, `src/${name.slice(2, -1)}`, ".ts"))
    .map((path) => path.slice("src/".length, -".ts".length));
  const isClosed = (module: string): boolean => exports[`./${module}`] === null;
  return [
    ...modules
      .filter((module) => !isClosed(module) && !decided.includes(module))
      .map((module) => `${module} is public by a star: close it in package.json, or name it here`),
    ...modules
      .filter((module) => isClosed(module) && decided.includes(module))
      .map((module) => `${module} is public here, and closed in package.json`),
  ];
};

/** `test/hub/hub.test.ts` is of `src/hub/hub.ts`, `test/app/editor.test.ts` of the folder `src/app/editor/`. */
const testsMirrorSources: Rule = (tree) =>
  paths(tree, "test/", ".test.ts").filter((path) => {
    const sources = ["src/", ""].map((root) => path.replace(/^test\//, root).replace(/\.test\.ts$/, ""));
    const exists = [...tree.keys()].some((known) =>
      sources.some((source) => known === `${source}.ts` || known.startsWith(`${source}/`)),
    );
    return !exists && !END_TO_END.test(path);
  });

/** A mistake in code that both had would be found by nobody. Of the types beside them nothing runs. */
const JUDGES = [
  ...["frame", "random", "spread"],
  ...["judge", "equality", "reader", "browser", "newsroom"].map((name) => `processes/${name}`),
  ...["truth", "reader", "live-reader", "timely"].map((name) => `model/${name}`),
  "storm/crowd-process",
].map((name) => `faults/${name}.ts`);
const judgesShareNoCode: Rule = (tree) =>
  JUDGES.flatMap((path) => importsOf(path, tree.get(path) ?? ""))
    .filter(({ to, bare, isType }) => !bare && !JUDGES.includes(to) && !(isType && to.startsWith("faults/")))
    .map(({ from, to }) => `${from} imports ${to}`);

const skipsHaveAReason: Rule = (tree) =>
  paths(tree, "test/", ".ts").flatMap((path) =>
    [...tree.get(path)!.matchAll(/\b(?:describe|it|test)\.(?:skip|todo|skipIf|runIf|fails)\b[^;{]*/g)]
      .filter(([call]) => !/["'`][^"'`]*\b(because|needs|until)\b/.test(call))
      .map(([call]) => `${path}: ${call.split("\n", 1)[0]}`),
  );

const nothingRunsAlone: Rule = (tree) =>
  paths(tree, "test/", ".ts").filter((path) => /\b(?:describe|it|test)\.only\b/.test(tree.get(path)!));

/** Installing asks the registry that npm is set to, whichever it is. */
const noRegistryIsNamed: Rule = (tree) => {
  const host = /\bregistry\.[a-z]+\.(?:org|com)\b/;
  const named = [...tree].filter(([, text]) => host.test(text)).map(([path]) => `${path} names a registry`);
  const lock = JSON.parse(tree.get("package-lock.json")!) as {
    packages: Record<string, { resolved?: string }>;
  };
  const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined);
  return [...named, ...resolved.map(([path]) => `package-lock.json: ${path} has "resolved"`)];
};

const documentedScriptsExist: Rule = (tree) => {
  const { scripts } = packageJson(tree);
  return paths(tree, "", ".md").flatMap((path) =>
    [...tree.get(path)!.matchAll(/\bnpm (?:run (?:--silent |-s )?([\w:-]+)|(start|test)\b)/g)]
      .map(([, run, word]) => (run ?? word)!)
      .filter((script) => !Object.hasOwn(scripts, script))
      .map((script) => `${path}: npm run ${script}`),
  );
};

/** The rows of CONTRIBUTING's table begin with them; npm itself runs the others (`pretest`, `prepack`). */
const scriptsAreInTheTable: Rule = (tree) => {
  const rows = [...(tree.get("CONTRIBUTING.md") ?? "").matchAll(/^\| `npm (?:run )?([\w:-]+)/gm)];
  const named = new Set(rows.map(([, script]) => script!));
  return Object.keys(packageJson(tree).scripts)
    .filter((script) => !/^(pre|post)/.test(script) && !named.has(script))
    .map((script) => `CONTRIBUTING.md: its table has no row for npm run ${script}`);
};

const documentLinksLeadSomewhere: Rule = (tree) =>
  paths(tree, "", ".md").flatMap((path) =>
    [...tree.get(path)!.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)]
      .map(([, link]) => new URL(link!, `file:///${path}`).pathname.slice(1))
      .filter((target) => !/\.(png|svg|jpg|webp)$/.test(target))
      .filter(
        (target) => !tree.has(target) && ![...tree.keys()].some((known) => known.startsWith(`${target}/`)),
      )
      .filter((target) => target !== "LICENSE")
      .map((target) => `${path}: ${target}`),
  );

/** A mended defect names the test that holds it. */
const namedTestsExist: Rule = (tree) =>
  paths(tree, "", ".md").flatMap((path) =>
    [...tree.get(path)!.matchAll(/`((?:test|src\/testing)\/[\w./-]+\.ts)`/g)]
      .filter(([, named]) => !tree.has(named!))
      .map(([, named]) => `${path}: ${named}`),
  );

/** `<!-- from examples/x.ts -->` before a block of code: it is that file, whole. */
const documentedCodeRuns: Rule = (tree) =>
  paths(tree, "", ".md").flatMap((path) =>
    [...tree.get(path)!.matchAll(/<!-- from (\S+) -->\n```\w+\n([\s\S]*?)```/g)]
      .filter(([, source, code]) => tree.get(source!) !== code)
      .map(([, source]) => `${path}: not what ${source} says`),
  );

const RULES: readonly [title: string, rule: Rule, wrong: Readonly<Record<string, string>>][] = [
  [
    "every bus, log, store, adapter and receiver passes its conformance suite",
    passesItsSuite,
    { "src/buses/new.ts": `import type { Bus } from "./bus.ts";`, "test/buses/new.test.ts": "// busSuite()" },
  ],
  [
    "the client imports only the protocol",
    clientImportsOnlyTheProtocol,
    { "src/client/a.ts": `import type { Page } from "../pages/model.ts";` },
  ],
  [
    "nothing imports the app",
    nothingImportsTheApp,
    { "src/hub/a.ts": `export * from "../app/settings.ts";` },
  ],
  [
    "the hub knows no socket and no concrete bus or log",
    hubKnowsNoSocketAndNoBus,
    { "src/hub/a.ts": `const bus = import("../buses/memory.ts");` },
  ],
  [
    "imports make no cycle",
    noCycles,
    {
      "src/a.ts": `import "./b.ts";`,
      "src/b.ts": `import type { A } from "./c.ts";`,
      "src/c.ts": `import "./a.ts";`,
    },
  ],
  [
    "imported packages are declared",
    importsAreDeclared,
    { "src/a.ts": `import type { Plugin } from "vite";` },
  ],
  [
    "peer dependencies are optional",
    nobodyMustInstallAPeer,
    { "package.json": `{ "peerDependencies": { "redis": "5" } }` },
  ],
  [
    "what a star makes public was decided on",
    publicModulesAreDecidedOn,
    { "src/adapters/helper.ts": "export const half = (n: number) => n / 2;" },
  ],
  ["tests mirror sources", testsMirrorSources, { "test/hub/nothing.test.ts": "" }],
  [
    "those who judge under faults share no code with what they judge",
    judgesShareNoCode,
    { "faults/processes/judge.ts": 'import { parseCursor } from "../../src/protocol.ts";' },
  ],
  ["a skipped test says why", skipsHaveAReason, { "test/a.test.ts": `test.${"skip"}("works", () => {});` }],
  ["no test runs alone", nothingRunsAlone, { "test/a.test.ts": `test.${"only"}("works", () => {});` }],
  ["no file names a package registry", noRegistryIsNamed, { "a.md": `see registry.${"npmjs"}.org` }],
  ["scripts that documents name exist", documentedScriptsExist, { "a.md": "`npm run nothing`" }],
  [
    "scripts that people run are in CONTRIBUTING's table",
    scriptsAreInTheTable,
    {
      "package.json": `{ "scripts": { "test": "", "fuzz": "" } }`,
      "CONTRIBUTING.md": "| `npm test` | all tests |\n\nThere is `npm run fuzz` too.",
    },
  ],
  [
    "code in documents is code that runs",
    documentedCodeRuns,
    { "a.md": "<!-- from examples/a.ts -->\n```ts\nold();\n```", "examples/a.ts": "fresh();\n" },
  ],
  ["tests that documents name exist", namedTestsExist, { "a.md": "mended (`test/nothing.test.ts`)" }],
  ["links in documents lead somewhere", documentLinksLeadSomewhere, { "docs/a.md": "[b](../b.md)" }],
];

const tree = readTree();

describe.for(RULES)("%s", ([, rule, wrong]) => {
  test("here", () => {
    expect(rule(tree)).toEqual([]);
  });

  test("and a breach is found", () => {
    const base = { "package.json": tree.get("package.json")!, "package-lock.json": `{ "packages": {} }` };
    expect(rule(new Map(Object.entries({ ...base, ...wrong })))).not.toEqual([]);
  });
});

test("the rules see the implementations there are", () => {
  const found = implementations(tree).map(({ path }) => path);
  const sure = ["src/buses/memory.ts", "src/logs/sqlite.ts", "src/pages/sqlite.ts", "src/adapters/node.ts"];
  expect(found).toEqual(expect.arrayContaining(sure));
  expect([...tree.keys()]).toEqual(expect.arrayContaining(JUDGES));
});

// --- reading the tree ------------------------------------------------------------------------------------

function imports(tree: Tree, under: string): Import[] {
  const sources = [...paths(tree, under, ".ts"), ...paths(tree, under, ".tsx")];
  return sources.flatMap((path) => importsOf(path, tree.get(path)!));
}

function paths(tree: Tree, under: string, ending: string): string[] {
  return [...tree.keys()].filter((path) => path.startsWith(under) && path.endsWith(ending));
}

function testOf(path: string): string {
  return path.replace(/^src\//, "test/").replace(/\.ts$/, ".test.ts");
}

function arrow({ from, to }: Import): string {
  return `${from} → ${to}`;
}

interface PackageJson {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

function packageJson(tree: Tree): PackageJson {
  return JSON.parse(tree.get("package.json")!);
}
