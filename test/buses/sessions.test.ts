import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  type Session,
  type SessionBusOptions,
  type SessionEvents,
  sessionBus,
} from "../../src/buses/sessions.ts";
import { TidingsError } from "../../src/errors.ts";
import { busSuite } from "../../src/testing/bus-suite.ts";
import { eventually } from "../../src/testing/runner.ts";

const run = promisify(execFile);

/** A server in this process: what is published goes to all of its sessions that listen. */
function newServer() {
  const sessions = new Map<SessionEvents, Set<string>>();
  return {
    sessions,
    async open(events: SessionEvents): Promise<Session> {
      const channels = new Set<string>();
      sessions.set(events, channels);
      return {
        maxBytes: 500_000,
        async publish(channel, body) {
          for (const [to, { size }] of sessions) {
            if (size > 0 && sessions.get(to)!.has(channel))
              setImmediate(() => to.heard(channel, String(body)));
          }
        },
        async listen(channel) {
          channels.add(channel);
        },
        async unlisten(channel) {
          channels.delete(channel);
        },
        async close() {
          sessions.delete(events);
        },
      };
    },
  };
}

const servers = new WeakMap<object, ReturnType<typeof newServer>>();

function join(server: ReturnType<typeof newServer>) {
  const bus = sessionBus({ where: "test bus", open: server.open, onError: () => {} });
  servers.set(bus, server);
  return bus;
}

busSuite(
  { describe, it },
  { make: () => ({ value: join(newServer()) }), join: (bus) => join(servers.get(bus)!) },
);

function observed(open: SessionBusOptions["open"], name: Partial<SessionBusOptions> = {}) {
  const errors: unknown[] = [];
  const statuses: string[] = [];
  const bus = sessionBus({ where: "test bus", ...name, open, onError: (error) => errors.push(error) });
  bus.onStatus!((status) => statuses.push(status));
  onTestFinished(() => bus.close());
  return { bus, errors, statuses };
}

it("opens another session when one ends, listens to everything again, and only then is up", async () => {
  const server = newServer();
  let listening = Promise.withResolvers<void>();
  listening.resolve();
  const { bus, errors, statuses } = observed(async (events) => {
    const session = await server.open(events);
    return { ...session, listen: (channel) => listening.promise.then(() => session.listen(channel)) };
  });
  await Promise.all(["a", "b"].map((channel) => bus.subscribe(channel, () => {})));
  const [first] = server.sessions.keys();
  listening = Promise.withResolvers();
  first!.ended(new Error("cut"));
  await eventually(() => expect([...server.sessions.keys()].some((events) => events !== first)).toBe(true));
  expect(statuses).toEqual(["down"]);
  listening.resolve();
  await eventually(() => expect(statuses).toEqual(["down", "up"]));
  expect([...server.sessions.values()]).toEqual([new Set(["a", "b"])]);
  expect(errors).toEqual([
    expect.objectContaining({ code: "unavailable", detail: "the server cannot be reached: cut" }),
  ]);
});

it("one channel that the server refuses harms no other, is told, and is tried again", async () => {
  const server = newServer();
  let refused = "";
  const { bus, errors, statuses } = observed(async (events) => {
    const session = await server.open(events);
    return {
      ...session,
      async listen(channel) {
        if (channel === refused) throw new Error(`no ${channel}`);
        await session.listen(channel);
      },
    };
  });
  refused = "b";
  await expect(bus.subscribe("b", () => {})).rejects.toThrow("no b");
  refused = "";
  await Promise.all(["a", "b"].map((channel) => bus.subscribe(channel, () => {})));
  refused = "b";
  for (const events of server.sessions.keys()) events.ended(new Error("cut"));
  await eventually(() => expect([...server.sessions.values()]).toContainEqual(new Set(["a"])));
  await eventually(() => expect(errors.at(-1)).toMatchObject({ message: "no b" }));
  expect(statuses).toEqual(["down"]);
  refused = "";
  await eventually(() => expect(statuses).toEqual(["down", "up"]));
  expect([...server.sessions.values()]).toEqual([new Set(["a", "b"])]);
  expect(errors).toHaveLength(2);
});

it("waits longer after each failure, tells of the first, and does not give up", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  let attempts = 0;
  const { errors, statuses } = observed(async () => {
    attempts++;
    throw new Error("refused");
  });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(errors).toHaveLength(1);
  expect(statuses).toEqual(["down"]);
  // 50–100 ms, 100–200 ms, … 2.5–5 s
  expect(attempts).toBeGreaterThan(15);
  expect(attempts).toBeLessThan(35);
});

it("a wrong setting is final", async () => {
  let attempts = 0;
  const { bus, errors, statuses } = observed(async () => {
    attempts++;
    throw new TidingsError("settings", "no such library");
  });
  await expect(bus.subscribe("a", () => {})).rejects.toMatchObject({ code: "settings" });
  await expect(bus.subscribe("a", () => {})).rejects.toMatchObject({ code: "settings" });
  await bus.publish("a", { cursor: "e.1" });
  expect([attempts, errors.length, statuses]).toEqual([1, 1, ["down"]]);
});

it("a session that opens after close() is closed", async () => {
  const server = newServer();
  const gate = Promise.withResolvers<void>();
  const { bus } = observed(async (events) => {
    await gate.promise;
    return server.open(events);
  });
  await bus.close();
  gate.resolve();
  await gate.promise;
  await eventually(() => expect(server.sessions.size).toBe(0));
});

it("close() waits for what the server has not taken yet, but not for long", async () => {
  const server = newServer();
  const taken = Promise.withResolvers<void>();
  let closed = false;
  const { bus } = observed(async (events) => {
    const session = await server.open(events);
    return {
      ...session,
      publish: () => taken.promise,
      async close() {
        closed = true;
      },
    };
  });
  await bus.publish("a", { cursor: "e.1" });
  const closing = bus.close();
  expect(bus.close()).toBe(closing);
  await new Promise((resolve) => setImmediate(resolve));
  expect(closed).toBe(false);
  await expect(bus.subscribe("a", () => {})).rejects.toMatchObject({ code: "closed" });
  taken.resolve();
  await closing;
  expect(closed).toBe(true);
});

it("sends what is larger than the server takes as its cursor alone", async () => {
  const { bus } = observed(newServer().open);
  const heard: unknown[] = [];
  await bus.subscribe("a", (announcement) => heard.push(announcement));
  const renders = new Map([["1", { show: true, content: "x".repeat(500_000), at: 1 }]]);
  await bus.publish("a", { renders, removals: [], cursor: "e.1" });
  await eventually(() => expect(heard).toEqual([{ cursor: "e.1" }]));
});

it("tells why a name with several addresses cannot be reached", async () => {
  const refused = [new Error("connect ECONNREFUSED ::1:1"), new Error("connect ECONNREFUSED 127.0.0.1:1")];
  const { errors } = observed(async () => {
    throw new AggregateError(refused);
  });
  await eventually(() => expect(errors.map(String)).toEqual([expect.stringContaining("ECONNREFUSED ::1:1")]));
});

it("names the server, and tells what it says when it is there and refuses, once each", async () => {
  const answers = ["gone", "gone again", "NO", "NO", "gone", "NEVER"];
  const tried = Promise.withResolvers<void>();
  const { errors } = observed(
    async () => {
      const answer = answers.shift();
      if (answer === undefined) tried.resolve();
      throw new Error(answer ?? "NEVER");
    },
    { server: "Pigeons", isRefusal: (error) => /^NO|NEVER/.test((error as Error).message) },
  );
  await tried.promise;
  expect(errors.map((error) => (error as TidingsError).detail)).toEqual([
    "Pigeons cannot be reached: gone",
    "Pigeons refused: NO",
    "Pigeons refused: NEVER",
  ]);
}, 20_000);

it("tells once a second what the server refuses to publish", async () => {
  const server = newServer();
  const { bus, errors } = observed(async (events) => ({
    ...(await server.open(events)),
    publish: () => Promise.reject(new Error("refused")),
  }));
  for (let n = 0; n < 100; n++) await bus.publish("a", { cursor: `e.${n}` });
  await eventually(() => expect(errors).toEqual([new Error("refused")]));
});

it("goes on when who is told throws", async () => {
  const server = newServer();
  const console = vi.spyOn(globalThis.console, "error").mockImplementation(() => {});
  onTestFinished(() => console.mockRestore());
  const statuses: string[] = [];
  const thrown = () => {
    throw new Error("a listener's own");
  };
  const bus = sessionBus({ where: "test bus", open: server.open, onError: thrown });
  onTestFinished(() => bus.close());
  bus.onStatus!(thrown);
  bus.onStatus!((status) => statuses.push(status));
  await bus.subscribe("a", () => {});
  for (const events of server.sessions.keys()) events.ended(new Error("cut"));
  await eventually(() => expect(statuses).toEqual(["down", "up"]));
  expect([...server.sessions.values()]).toEqual([new Set(["a"])]);
});

it("a process ends when its bus is closed while it opens", async () => {
  const code = `
    import { sessionBus } from ${JSON.stringify(new URL("../../src/buses/sessions.ts", import.meta.url).href)};
    const bus = sessionBus({ where: "test bus", open: () => new Promise(() => {}) });
    await bus.close();
    process.on("exit", () => console.log(performance.now() < 8_000 ? "at once" : "late"));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code]);
  expect(stdout.trim()).toBe("at once");
});
