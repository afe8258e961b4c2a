import fc from "fast-check";
import { afterAll, describe, expect } from "vitest";
import { parseCommandLine } from "../../src/app/flags.ts";
import {
  flagName,
  parseSettingFlags,
  RELAY_SETTINGS,
  readRelaySettings,
  readSettings,
  SERVE_SETTINGS,
  SETTINGS,
  type SettingName,
  variableName,
} from "../../src/app/settings.ts";
import { PieSocketPublisher } from "../../src/publishers/piesocket.ts";
import { PusherPublisher } from "../../src/publishers/pusher.ts";
import { isServiceUrl } from "../../src/services/service-url.ts";
import { runCli } from "../support/cli.ts";
import { emptyFolder } from "../support/folder.ts";
import { endless, expectRefusal, fuzz, inTime, refusing, spell, texts } from "./fuzz.ts";

const folder = emptyFolder();
afterAll(() => folder.dispose());

const SECRET = "s3cr3t";
const all = Object.keys(SETTINGS) as SettingName[];
const names = fc.constantFrom(...all);
/** Wrong in any way, with a secret where one may be. */
const secretTexts = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("redis", "rediss", "postgres", "nats", "amqp", "http", "https", "ftp", ""),
      texts,
      fc.constantFrom(":", "", "/"),
      texts,
      texts,
    )
    .map(
      ([scheme, user, colon, password, rest]) => `${scheme}://${user}${colon}${SECRET}${password}@${rest}`,
    ),
  texts.map((text) => `postgres://host/db?password=${SECRET}&x=${text}`),
);
const values = fc.oneof(texts, secretTexts, fc.nat(100_000).map(String));

/** What a person is shown: one line, and no secret. */
async function checked<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    expectRefusal(error, ["settings"]);
    const { detail } = error as { detail: string };
    expect(detail).not.toContain(SECRET);
    expect(detail.length).toBeLessThan(400);
    return undefined;
  }
}

describe("settings", () => {
  fuzz(
    "from flags and the environment are taken, or refused in one line without the secret",
    fc.tuple(names, values),
    async ([name, text]) => {
      for (const source of [
        { flags: { [flagName(name)]: text }, env: {} },
        { flags: {}, env: { [variableName(name)]: text } },
      ]) {
        const known = { ...source, cwd: folder.path };
        const isForRelay = (RELAY_SETTINGS as readonly string[]).includes(name);
        const read = await checked<object>(isForRelay ? readRelaySettings(known) : readSettings(known));
        if (read && name === "port")
          expect((read as { port: unknown }).port).toSatisfy((port: number) => port >= 0 && port <= 65_535);
      }
    },
    2,
  );
  fuzz("of a token show it to nobody", fc.tuple(texts, texts), async ([before, after]) => {
    await checked(
      readSettings({ flags: { token: `${before}${SECRET}${after}` }, env: {}, cwd: folder.path }),
    );
  });
  fuzz(
    "on a command line",
    fc.array(
      fc.oneof(
        texts,
        names.map((name) => `--${flagName(name)}`),
        fc.tuple(names, texts).map(([name, text]) => `--${flagName(name)}=${text}`),
      ),
      { maxLength: 6 },
    ),
    (args) => {
      refusing(["settings"], () => parseSettingFlags("serve", args, SERVE_SETTINGS));
      refusing(["settings"], () => parseCommandLine(args, { port: "string", json: "boolean" }));
    },
  );
  fuzz(
    "end the command with 2 and one line, never a stack",
    fc.tuple(
      fc.constantFrom("bus", "log", "origins", "publicUrl", "port"),
      secretTexts.filter((text) => !text.includes("\0")),
    ),
    async ([name, text]) => {
      // A NUL cannot be in an argument. What is refused here is refused there.
      const refused =
        (await checked(readSettings({ flags: { [flagName(name)]: text }, env: {}, cwd: folder.path }))) ===
        undefined;
      if (!refused) return;
      const { status, stderr } = await runCli(["serve", `--${flagName(name)}=${text}`], { cwd: folder.path });
      expect(status).toBe(2);
      expect(stderr).toMatch(/^tidings: [^\n]+\n$/);
      expect(stderr).not.toContain(SECRET);
    },
    0.02,
  );
});

describe("URLs of services", () => {
  fuzz("that are taken can be taken apart", fc.oneof(texts, secretTexts), (text) => {
    if (!isServiceUrl(text, ["redis", "rediss", "http", "https", "postgres"])) return;
    const { username, password } = new URL(text);
    expect(() => decodeURIComponent(username + password)).not.toThrow();
  });
  fuzz(
    "of hosted services are taken, or refused without the secret",
    fc.oneof(texts, secretTexts),
    async (text) => {
      await checked((async () => new PusherPublisher({ url: text }))());
      await checked((async () => new PusherPublisher({ url: `https://key:${SECRET}@host/apps/${text}` }))());
      await checked((async () => new PieSocketPublisher({ apiKey: "k", secret: SECRET, endpoint: text }))());
    },
  );
});

describe("100 kB of anything", () => {
  fuzz(
    "is read in time",
    endless,
    async (pieces) => {
      const text = spell(pieces);
      // Node takes the letters behind a dash one by one.
      const word = text.slice(0, 5_000);
      inTime(() =>
        refusing(["settings"], () =>
          parseCommandLine([word, `--${word}`, `--port=${text}`], { port: "string" }),
        ),
      );
      for (const name of all) {
        const began = process.cpuUsage();
        await checked(readSettings({ flags: { [flagName(name)]: text }, env: {}, cwd: folder.path }));
        expect(process.cpuUsage(began).user).toBeLessThan(10_000_000);
      }
    },
    0.02,
  );
});
