import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { loadPublisher } from "../../src/app/own-publisher.ts";
import { runCli } from "../support/cli.ts";
import { describeWith } from "../support/describe-with.ts";
import { emptyFolder } from "../support/folder.ts";
import { type Served, serve } from "../support/serve.ts";
import { request, text } from "../support/server.ts";
import { type Service, startService } from "../support/services.ts";

const { path: folder, dispose } = emptyFolder();
afterAll(dispose);

/** Writes a module of the site's own; returns its path. */
async function module(name: string, source: string): Promise<string> {
  await writeFile(join(folder, name), source);
  return join(folder, name);
}

/** A publisher that appends what it is given to a file, a line each, as its options say. */
const NOTING = `
import { appendFileSync } from "node:fs";

type Note = readonly unknown[];
const note = (...given: Note): void => appendFileSync(process.env.NOTES!, JSON.stringify(given) + "\\n");

export class Noting {
  publish(channelId: string, renders: object, removals: string[], context: object): unknown {
    note(channelId, renders, removals, context);
    const text = JSON.stringify(renders);
    if (text.includes("throw")) throw new Error("not today (on purpose)");
    if (text.includes("hang")) return new Promise(() => {});
    return new Promise((resolve) => setTimeout(resolve, 5));
  }
  close(): void {
    note("closed");
  }
}
export default new Noting();
`;

describe("loadPublisher", () => {
  test("a class by its name, an object by its name, a default export, a package's, the thing itself", async () => {
    await module(
      "kinds.mjs",
      `export class Mine { publish() { return "class"; } }
       export const object = { publish: () => "object" };
       export default { publish: () => "default" };`,
    );
    const answer = async (setting: string | object) =>
      (await loadPublisher(setting, folder)).publish("finals", {}, [], { cursor: "e.1" });
    expect(await answer("./kinds.mjs#Mine")).toBe("class");
    expect(await answer("./kinds.mjs#object")).toBe("object");
    expect(await answer("./kinds.mjs")).toBe("default");
    expect(await answer(`${join(folder, "kinds.mjs")}#Mine`)).toBe("class");
    expect(await answer({ publish: () => "itself" })).toBe("itself");
    expect(
      await answer(
        class {
          publish() {
            return "its class";
          }
        },
      ),
    ).toBe("its class");
    await expect(loadPublisher("ws#WebSocket", folder)).rejects.toThrow(/cannot be made|has no publish/);
  });

  test.for([
    ["./none.ts#Mine", /^the publisher "\.\/none\.ts#Mine": there is no file \/.*none\.ts$/],
    ["wrong.mjs#Mine", /cannot be loaded: .*; a file is named by \.\/wrong\.mjs$/],
    ["no-such-package#Mine", /cannot be loaded: Cannot find package 'no-such-package'/],
    ["./wrong.mjs#Mine", /wrong\.mjs exports no Mine; did you mean Mime\?$/],
    ["./wrong.mjs#Elsewhere", /exports no Elsewhere: it exports Bad, Mime, Settled$/],
    ["./wrong.mjs", /has no default export: add #name; it exports Bad, Mime, Settled$/],
    ["./wrong.mjs#Mime", /has no publish\(channelId, renders, removals\): it must be a class that extends/],
    ["./wrong.mjs#Bad", /cannot be made: no service \(on purpose\)$/],
    ["./throws.mjs#Mine", /cannot be loaded: not set up \(on purpose\)$/],
  ] as const)("%s is wrong: one line says why", async ([setting, line]) => {
    await module(
      "wrong.mjs",
      `export class Mime {}
       export class Bad { constructor() { throw new Error("no service (on purpose)"); } }
       export const Settled = 1;`,
    );
    await module("throws.mjs", `throw new Error("not set up (on purpose)\\nand more");`);
    const error = await loadPublisher(setting, folder).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "settings", field: "publisher" });
    expect((error as { detail: string }).detail).toMatch(line);
    expect((error as { detail: string }).detail).not.toContain("\n");
  });
});

describe("tidings serve with a publisher of its own", () => {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  async function started(publisher = "./noting.ts#Noting", env: Readonly<Record<string, string>> = {}) {
    const { path, dispose } = emptyFolder();
    await writeFile(join(folder, "noting.ts"), NOTING);
    const notes = join(path, "notes");
    const setting = publisher.startsWith("./") ? join(folder, publisher) : publisher;
    const served = await serve({ ...env, TIDINGS_PUBLISHER: setting, NOTES: notes });
    ends.push(served.stop, dispose);
    const token = (await readFile(join(served.cwd, "data/token"), "utf8")).trim();
    return {
      served,
      api: (method: string, path: string, body?: unknown) =>
        request(served.url, method, path, body, { authorization: `Bearer ${token}` }),
      notes: async (): Promise<Note[]> =>
        (await readFile(notes, "utf8"))
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
    };
  }

  async function getsEveryUpdateInOrder(env?: Readonly<Record<string, string>>): Promise<void> {
    const { served, api, notes } = await started("./noting.ts#Noting", env);
    await api("POST", "/api/pages", { channelId: "finals", title: "The cup final" });
    const writers = Array.from({ length: 20 }, async (_, writer) => {
      for (let n = 0; n < 5; n++) {
        const { json } = await api("POST", "/api/pages/finals/posts", text(`${writer} ${n}`));
        if (n === 3) await api("PATCH", `/api/pages/finals/posts/${json.id}`, { show: false });
        if (n === 4) await api("DELETE", `/api/pages/finals/posts/${json.id}`);
      }
    });
    await Promise.all(writers);
    const { json: update } = await api("POST", "/api/channels/derby/updates", {
      renders: { 7: { show: true, content: "<p>Derby!</p>" } },
      removals: ["6"],
    });
    // What changes nothing is no update.
    await api("POST", "/api/channels/derby/updates", {
      renders: { 7: { show: true, content: "<p>Derby!</p>" } },
    });
    expect(await served.stop()).toBe(0);
    ends.shift();

    const all = await notes();
    expect(all.at(-1)).toEqual(["closed"]);
    expect(all.filter(([channel]) => channel === "derby")).toEqual([
      ["derby", { 7: { show: true, content: "<p>Derby!</p>", at: 1 } }, ["6"], { cursor: update.cursor }],
    ]);
    const finals = all.filter(([channel]) => channel === "finals") as Note[];
    const seqs = finals.map(([, , , { cursor }]) => Number(cursor.split(".")[1]));
    expect(seqs).toEqual(Array.from({ length: 20 * 7 }, (_, n) => n + 1));
    const hidden = finals.flatMap(([, renders]) => Object.values(renders)).filter(({ show }) => !show);
    expect(hidden).toHaveLength(20);
    for (const { content } of hidden)
      expect(content).toMatch(/^<div class="live-post" data-post-id="[^"]+"><\/div>$/);
  }

  test("it gets every update once it is made, of 20 writers in the page's order", () =>
    getsEveryUpdateInOrder());

  describeWith("postgres", () => {
    let postgres: Service;
    beforeAll(async () => {
      postgres = await startService("postgres");
    });
    afterAll(() => postgres.close());

    // Connections of their own: their answers may come in another order than the changes were made.
    test("also where each writer has a connection to the store", () =>
      getsEveryUpdateInOrder({ TIDINGS_STORE: postgres.url }));
  });

  test("one that throws or hangs fails and delays no post, and the log names it and the page", async () => {
    const { served, api, notes } = await started("./noting.ts");
    for (const word of ["throw", "hang", "after"]) {
      expect((await api("POST", "/api/pages/welcome/posts", text(word))).status).toBe(201);
    }
    await expect.poll(() => served.output()).toContain("not today (on purpose)");
    const line = served
      .output()
      .split("\n")
      .find((each) => each.includes("not today"))!;
    expect(JSON.parse(line)).toMatchObject({ stage: "publish", channel: "welcome" });
    const page = await (await fetch(`${served.url}/live/welcome/`)).text();
    expect(page).toContain("after");
    // It ends all the same, and says what was left.
    await expect.poll(async () => (await notes()).length).toBe(3);
    expect(await served.stop()).toBe(0);
    ends.shift();
    expect(served.output()).toMatch(/before the publisher had taken 2 updates/);
    expect((await notes()).at(-1)).toEqual(["closed"]);
  });

  test("a wrong one ends the command with one line and exit code 2", async () => {
    const { stderr, status } = await runCli(["serve", "--publisher", "./none.ts#Mine", "--port", "0"], {
      cwd: folder,
    });
    expect(stderr).toMatch(/^tidings: the publisher "\.\/none\.ts#Mine": there is no file .*\n$/);
    expect(status).toBe(2);
  });
});

type Note = [
  channelId: string,
  renders: Record<string, { show: boolean; content: string }>,
  removals: string[],
  context: { cursor: string },
];

describeWith("redis", () => {
  let server: Service;
  let served: Served;
  beforeAll(async () => {
    server = await startService("redis");
    const redis = new URL("../../src/publishers/redis.ts#RedisPubSubPublisher", import.meta.url);
    served = await serve({
      TIDINGS_PUBLISHER: decodeURIComponent(redis.pathname + redis.hash),
      TIDINGS_REDIS_URL: server.url,
    });
  });
  afterAll(async () => {
    await served.stop();
    await server.close();
  });

  test("the guide's RedisPubSubPublisher is one, as it is", async () => {
    const { createClient } = await import("redis");
    const client = await createClient({ url: server.url }).connect();
    const heard: string[] = [];
    await client.subscribe("group_welcome", (message) => heard.push(message));
    const token = (await readFile(join(served.cwd, "data/token"), "utf8")).trim();
    const headers = { authorization: `Bearer ${token}` };
    const { json: post } = await request(
      served.url,
      "POST",
      "/api/pages/welcome/posts",
      text("Goal!"),
      headers,
    );
    await expect.poll(() => heard).toHaveLength(1);
    expect(JSON.parse(heard[0]!)).toMatchObject({ renders: { [post.id]: { show: true } }, removals: [] });
    expect(served.output()).not.toContain("TIDINGS_REDIS_URL");
    client.destroy();
  });
});
