import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  flagName,
  localUrl,
  readRelaySettings,
  readSettings,
  SETTINGS,
  type SettingName,
  variableName,
} from "../../src/app/settings.ts";
import type { TidingsError } from "../../src/errors.ts";

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tidings-settings-"));
});
afterEach(() => rm(cwd, { recursive: true }));

function read(flags: Record<string, string | boolean>, env: Record<string, string> = {}) {
  return readSettings({ flags, env, cwd });
}

/** What a person is shown. */
async function complaint(reading: Promise<unknown>): Promise<string> {
  const error = (await reading.then(
    () => null,
    (cause: unknown) => cause,
  )) as TidingsError;
  expect(error?.code).toBe("settings");
  expect(error.detail).not.toContain("\n");
  return error.detail;
}

test("the defaults", async () => {
  expect(await read({})).toEqual({
    host: "localhost",
    port: 8765,
    data: join(cwd, "data"),
    store: join(cwd, "data", "tidings.db"),
    bus: "memory",
    log: "store",
    trustProxy: false,
    trustedHtml: false,
    maxConnectionsPerAddress: 0,
    drainSeconds: 0,
    origins: ["own"],
    logLevel: "info",
  });
});

describe("where a setting comes from", () => {
  test("flag over environment over config file over default", async () => {
    await writeFile(
      join(cwd, "tidings.config.ts"),
      "const port: number = 3; export default { port, host: 'a' };",
    );
    expect(await read({}, {})).toMatchObject({ port: 3, host: "a" });
    expect(await read({}, { TIDINGS_PORT: "2" })).toMatchObject({ port: 2, host: "a" });
    expect(await read({ port: "1" }, { TIDINGS_PORT: "2" })).toMatchObject({ port: 1, host: "a" });
  });

  test.for(["js", "mjs"])("a config file may be written in .%s", async (extension) => {
    await writeFile(join(cwd, `tidings.config.${extension}`), "export default { port: 7 };");
    expect((await read({})).port).toBe(7);
  });

  test("an empty variable counts as none", async () => {
    expect((await read({}, { TIDINGS_PORT: "", TIDINGS_TOKEN: "" })).port).toBe(8765);
  });

  test("the store follows the data folder unless it is named", async () => {
    expect((await read({ data: "elsewhere" })).store).toBe(join(cwd, "elsewhere", "tidings.db"));
    expect((await read({ data: "elsewhere", store: "/x/y.db" })).store).toBe("/x/y.db");
  });

  test("names are written in the way of each place", () => {
    expect(flagName("maxConnectionsPerAddress")).toBe("max-connections-per-address");
    expect(variableName("maxConnectionsPerAddress")).toBe("TIDINGS_MAX_CONNECTIONS_PER_ADDRESS");
  });
});

describe("values", () => {
  test.for<[SettingName, string, unknown]>([
    ["port", "0", 0],
    ["trustProxy", "true", true],
    ["trustProxy", "false", false],
    ["trustProxy", "2", 2],
    ["trustProxy", "10.0.0.0/8, ::1, loopback", ["10.0.0.0/8", "::1", "loopback"]],
    ["trustedHtml", "true", true],
    ["maxConnectionsPerAddress", "20", 20],
    ["drainSeconds", "300", 300],
    ["origins", "https://News.example, http://a:8080", ["own", "https://news.example", "http://a:8080"]],
    ["origins", "*", ["own", "*"]],
    ["publicUrl", "https://news.example/live/", "https://news.example/live"],
    ["publisher", "./mine.ts#Mine", "./mine.ts#Mine"],
    ["log", "memory", "memory"],
    ["log", "rediss://cache:6380/2", "rediss://cache:6380/2"],
    ["store", "postgres://u:p@db/tidings", "postgres://u:p@db/tidings"],
    ["bus", "redis://:p@cache", "redis://:p@cache"],
    ["bus", "nats://bus:4222", "nats://bus:4222"],
    ["bus", "amqps://u:p@rabbit/v", "amqps://u:p@rabbit/v"],
    ["bus", "postgresql://db", "postgresql://db"],
    ["logLevel", "silent", "silent"],
    ["token", "a-long-s3cret+/=", "a-long-s3cret+/="],
  ])("%s takes %j", async ([name, text, value]) => {
    expect((await read({}, { [variableName(name)]: text }))[name]).toEqual(value);
    expect((await read({ [flagName(name)]: text }))[name]).toEqual(value);
  });

  test.for<[SettingName, string]>([
    ["host", "http://here"],
    ["port", "65536"],
    ["port", "80.5"],
    ["port", "0x50"],
    ["port", " "],
    ["data", "https://data.example"],
    ["bus", "telepathy"],
    ["log", "redis"],
    ["trustProxy", "me"],
    ["trustProxy", "10.0.0.0/33"],
    ["trustProxy", "-1"],
    ["trustedHtml", "yes"],
    ["maxConnectionsPerAddress", "many"],
    ["drainSeconds", "301"],
    ["drainSeconds", "2.5"],
    ["drainSeconds", "20s"],
    ["origins", "news.example"],
    ["origins", "https://news.example/path"],
    ["publicUrl", "ftp://news.example"],
    ["publicUrl", "https://news.example/?a"],
    ["logLevel", "loud"],
  ])("%s refuses %j", async ([name, text]) => {
    const { allowed } = SETTINGS[name];
    const variable = variableName(name);
    expect(await complaint(read({}, { [variable]: text }))).toBe(
      `${variable} (environment) is ${JSON.stringify(text)}; it must be ${allowed}`,
    );
    const flag = `--${flagName(name)}`;
    expect(await complaint(read({ [flagName(name)]: text }))).toBe(
      `${flag} (flag) is ${JSON.stringify(text)}; it must be ${allowed}`,
    );
  });

  test("a config file holds them as values", async () => {
    const publisher = `{ publish() {} }`;
    await writeFile(
      join(cwd, "tidings.config.js"),
      `export default { port: 9, origins: ["http://a"], trustProxy: ["127.0.0.1"], trustedHtml: true, publisher: ${publisher} };`,
    );
    const settings = await read({});
    expect(settings).toMatchObject({ port: 9, origins: ["own", "http://a"], trustProxy: ["127.0.0.1"] });
    expect(settings.publisher).toHaveProperty("publish");
  });
});

describe("complaints", () => {
  test("name the config file, and the settings it may have meant", async () => {
    const file = join(cwd, "tidings.config.mjs");
    await writeFile(file, "export default { prot: 9000 };");
    expect(await complaint(read({}))).toBe("prot (tidings.config.mjs) is no setting; did you mean port?");
  });

  test("say what is wrong with a value of the config file", async () => {
    await writeFile(join(cwd, "tidings.config.js"), "export default { port: 'x' };");
    expect(await complaint(read({}))).toMatch(
      /^port \(tidings\.config\.js\) is "x"; it must be a port number/,
    );
  });

  test("say why the config file cannot be loaded", async () => {
    await writeFile(join(cwd, "tidings.config.js"), "throw new Error('no luck\\nat all');");
    expect(await complaint(read({}))).toBe("tidings.config.js cannot be loaded: no luck");
  });

  test("say what the config file lacks", async () => {
    await writeFile(join(cwd, "tidings.config.js"), "export const port = 1;");
    expect(await complaint(read({}))).toMatch(/^tidings\.config\.js must have a default export/);
  });

  test("never show the token, or a URL's password", async () => {
    expect(await complaint(read({ token: "hush hush" }))).not.toContain("hush");
    for (const url of [
      "postgres://u:hu/sh@db/x",
      "postgres://u:%zz-hush@db",
      "http://u:hush@db",
      "redis://db?password=hush",
      "redis://:hush%2@db",
      "redis://:hush@db/one",
    ]) {
      const said = await complaint(read({}, { TIDINGS_STORE: url, TIDINGS_BUS: url }));
      expect(said).toMatch(/TIDINGS_(STORE|BUS)/);
      expect(said).not.toMatch(/hu\/?sh/);
    }
    expect(await complaint(read({}, { TIDINGS_PUBLIC_URL: "https://me:hush@news.example" }))).not.toContain(
      "hush",
    );
  });
});

test("variables that look like settings are told of, and only those", async () => {
  const told: string[] = [];
  const env = { TIDINGS_PROT: "1", TIDINGS_URL: "http://a", TIDINGS_TEST_CHROMIUM: "x", PATH: "/bin" };
  await readSettings({ env, cwd, warn: (message) => told.push(message) });
  expect(told).toEqual(["TIDINGS_PROT (environment) is no setting; did you mean TIDINGS_PORT?"]);
});

test.for([
  ["localhost", "http://localhost:1"],
  ["0.0.0.0", "http://127.0.0.1:1"],
  ["::", "http://[::1]:1"],
  ["::1", "http://[::1]:1"],
])("a server that listens on %s is reached at %s", ([host, url]) => {
  expect(localUrl({ host: host!, port: 1 })).toBe(url);
});

describe("the relay's", () => {
  const relay = (env: Record<string, string>, flags: Record<string, string> = {}) =>
    readRelaySettings({ flags, env, cwd });

  test("defaults are Wagtail Live's, and any origin may read", async () => {
    expect(await relay({})).toEqual({
      host: "localhost",
      port: 8765,
      redisUrl: "redis://127.0.0.1:6379/1",
      origins: ["*"],
      trustProxy: false,
      maxConnectionsPerAddress: 0,
      drainSeconds: 0,
      logLevel: "info",
    });
  });

  test("own names come before the site's", async () => {
    const env = {
      WAGTAIL_LIVE_REDIS_URL: "redis://site:1",
      WAGTAIL_LIVE_SERVER_HOST: "0.0.0.0",
      WAGTAIL_LIVE_SERVER_PORT: "9000",
    };
    const site = { redisUrl: "redis://site:1", host: "0.0.0.0", port: 9000 };
    expect(await relay(env)).toMatchObject(site);
    const own = { TIDINGS_REDIS_URL: "redis://own:1", TIDINGS_ORIGINS: "https://news.example" };
    expect(await relay({ ...env, ...own })).toMatchObject({
      ...site,
      redisUrl: "redis://own:1",
      origins: ["own", "https://news.example"],
    });
    expect(await relay({ ...env, ...own }, { "redis-url": "redis://flag:1" })).toMatchObject({
      redisUrl: "redis://flag:1",
    });
  });

  test("what is for serve alone is told, and what to set instead", async () => {
    const warnings: string[] = [];
    const env = { TIDINGS_BUS: "redis://x", TIDINGS_STORE: "y" };
    await readRelaySettings({ env, cwd, warn: (message) => warnings.push(message) });
    expect(warnings).toEqual([
      "TIDINGS_STORE (environment) is not for the relay",
      "TIDINGS_BUS (environment) is not for the relay: the site's Redis is TIDINGS_REDIS_URL",
    ]);
  });

  test("the site's variable is named when it is the culprit, and serve takes none of them", async () => {
    expect(await complaint(relay({ WAGTAIL_LIVE_SERVER_PORT: "many" }))).toContain(
      "WAGTAIL_LIVE_SERVER_PORT (environment)",
    );
    expect(await complaint(relay({ WAGTAIL_LIVE_REDIS_URL: "redis://:secret@x:y" }))).not.toContain("secret");
    expect(await read({}, { WAGTAIL_LIVE_SERVER_PORT: "9000" })).toMatchObject({ port: 8765 });
  });
});
