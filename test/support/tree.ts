import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "vite";

/** The repository's own text files: path (with `/`) → text. */
export type Tree = ReadonlyMap<string, string>;

/** Reads the repository as it stands, without what npm and builds put there. */
export function readTree(): Tree {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const paths = globSync(
    ["**/*.{ts,tsx,js,mjs,json,md,html,css,yml,yaml,sh,conf,service,cfg,py}", ".ci/*", ".npmrc"],
    {
      cwd: root,
      exclude: (path) => /(^|\/)(node_modules|dist|data|coverage|\.git|\.test-sites)$/.test(path),
    },
  );
  return new Map(
    paths.sort().map((path) => [path.replaceAll("\\", "/"), readFileSync(`${root}/${path}`, "utf8")]),
  );
}

/** One import, export-from or `import()` of a file. */
export interface Import {
  readonly from: string;
  /** A path of the tree, or what a bare specifier says: `node:fs`, `zod`. */
  readonly to: string;
  readonly bare: boolean;
  /** What is imported by name. */
  readonly names: readonly string[];
  /** Nothing of it is there when the file runs. */
  readonly isType: boolean;
}

/** All imports of a TypeScript file. `import()` of anything but a plain text is left out. */
export function importsOf(path: string, source: string): readonly Import[] {
  const { module } = parseSync(path, source);
  const found: { specifier: string; names: string[]; isType: boolean }[] = [
    ...module.staticImports.map(({ moduleRequest, entries }) => ({
      specifier: moduleRequest.value,
      names: entries.flatMap(({ importName }) => importName.name ?? []),
      isType: entries.length > 0 && entries.every(({ isType }) => isType),
    })),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest, importName, isType }) =>
        moduleRequest
          ? { specifier: moduleRequest.value, names: importName.name ? [importName.name] : [], isType }
          : [],
      ),
    ),
    ...module.dynamicImports.flatMap(({ moduleRequest }) => {
      const text = /^["'](.*)["']$/.exec(source.slice(moduleRequest.start, moduleRequest.end));
      return text ? { specifier: text[1]!, names: [], isType: false } : [];
    }),
  ];
  return found.map(({ specifier, names, isType }) => {
    const bare = !specifier.startsWith(".");
    const to = bare ? specifier : posix.join(posix.dirname(path), specifier);
    return { from: path, to, bare, names, isType };
  });
}
