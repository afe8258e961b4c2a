import { join } from "node:path";
import { describe, it } from "vitest";
import { sqliteStore } from "../../src/pages/sqlite.ts";
import type { PageStore } from "../../src/pages/store.ts";
import { logSuite } from "../../src/testing/log-suite.ts";
import { storeSuite } from "../../src/testing/store-suite.ts";
import { emptyFolder } from "../support/folder.ts";

const paths = new WeakMap<object, string>();

function openStore(path: string): PageStore {
  const store = sqliteStore({ path });
  paths.set(store, path);
  return store;
}

function make() {
  const { path, dispose } = emptyFolder();
  return { value: openStore(join(path, "tidings.db")), dispose };
}

storeSuite({ describe, it }, { make, reopen: async (store) => openStore(paths.get(store)!) });
logSuite({ describe, it }, { make, reopen: async (log) => openStore(paths.get(log)!) });
