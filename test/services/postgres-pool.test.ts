import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type Connections, openConnections } from "../../src/services/postgres-pool.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { onPostgres } from "../support/postgres.ts";
import { type Service, startService } from "../support/services.ts";

const WHERE = "test";

it("refuses a URL that is none, and quotes no password", async () => {
  for (const url of ["postgres//user:hunter2@host", "mysql://user:hunter2@host/db", "hunter2"]) {
    const error = await openConnections({ url }, options()).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "settings", detail: expect.not.stringContaining("hunter2") });
    expect((error as Error).cause).toBe(undefined);
  }
});

it("says that nothing listens there, and quotes no password", async () => {
  const connections = await openConnections({ url: "postgres://user:hunter2@127.0.0.1:1/db" }, options());
  const error = await connections.use(5_000, (query) => query("SELECT 1")).catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/\[test\] .*ECONNREFUSED/),
  });
  expect((error as Error).message).not.toContain("hunter2");
  await connections.close();
});

describeWith("postgres", () => {
  let service: Service;
  const opened: Connections[] = [];
  beforeAll(async () => {
    service = await startService("postgres");
  });
  afterEach(() => Promise.all(opened.splice(0).map((connections) => connections.close())));
  afterAll(() => service.close());

  async function open(
    address: Parameters<typeof openConnections>[0] = { url: service.url },
    errors: unknown[] = [],
  ) {
    const connections = await openConnections(address, options(errors));
    opened.push(connections);
    return connections;
  }

  it("answers, and says what the server refuses", async () => {
    const { use } = await open();
    const answer = use(5_000, (query) => query("SELECT $1::text AS text", "x"));
    expect(await answer).toEqual([{ text: "x" }]);
    await expect(use(5_000, (query) => query("SELECT 1 / 0"))).rejects.toMatchObject({
      code: "unavailable",
      message: "[tidings] [test] the database failed: division by zero",
    });
    await expect(use(5_000, (query) => query("SELECT $1::text", "a\0b"))).rejects.toMatchObject({
      code: "invalid",
    });
  });

  it("uses a connection again, but not one whose last statement failed", async () => {
    const { use } = await open();
    const pid = () => use(5_000, (query) => query("SELECT pg_backend_pid() AS pid"));
    const before = await pid();
    await use(5_000, async (query) => {
      await expect(query("SELECT 1 / 0")).rejects.toMatchObject({ code: "unavailable" });
      await query("SELECT 1");
    });
    expect(await pid()).toEqual(before);
    await use(5_000, (query) => query("SELECT 1 / 0")).catch(() => {});
    expect(await pid()).not.toEqual(before);
  });

  it("opens no more connections than it may", async () => {
    const { use } = await open();
    const both = Promise.withResolvers<void>();
    let used = 0;
    const pids = await Promise.all(
      Array.from({ length: 20 }, () =>
        use(60_000, async (query) => {
          const [row] = await query("SELECT pg_backend_pid() AS pid");
          if (++used === 2) both.resolve();
          await both.promise;
          return row!.pid;
        }),
      ),
    );
    expect(new Set(pids).size).toBe(2);
  });

  it("gives up a server that hangs, and goes on when it is back", async () => {
    const { use } = await open();
    await use(5_000, (query) => query("SELECT 1"));
    service.pause();
    try {
      await expect(use(200, (query) => query("SELECT 1"))).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("did not answer in time"),
      });
      // A new connection is accepted by the system, and answered by nobody.
      await expect(use(200, (query) => query("SELECT 1"))).rejects.toMatchObject({ code: "unavailable" });
    } finally {
      service.resume();
    }
    expect(await use(5_000, (query) => query("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
  });

  it("gives a connection back that came too late", async () => {
    const pool = new pg.Pool({ connectionString: service.url, max: 1 });
    const { use } = await open({ pool });
    const kept = await pool.connect();
    await expect(use(50, (query) => query("SELECT 1"))).rejects.toMatchObject({ code: "unavailable" });
    kept.release();
    await use(5_000, (query) => query("SELECT 1"));
    await pool.end();
  });

  it("reports a connection lost while nobody used it, and opens another", async () => {
    const errors: unknown[] = [];
    const { use } = await open(undefined, errors);
    await use(5_000, (query) => query("SELECT 1"));
    await service.kill();
    await eventually(() => expect(errors).toHaveLength(1));
    expect(errors[0]).toMatchObject({ code: "unavailable" });
    await service.start();
    expect(await use(5_000, (query) => query("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
  });

  it("a connection cut in the middle of its work rejects, and harms nobody else", async () => {
    const { use } = await open();
    const cut = use(5_000, async (query) => {
      const [row] = await query("SELECT pg_backend_pid() AS pid");
      await Promise.all([
        query("SELECT pg_sleep(60)"),
        onPostgres(service.url, `SELECT pg_terminate_backend(${row!.pid})`),
      ]);
    });
    await expect(cut).rejects.toMatchObject({ code: "unavailable" });
    expect(await use(5_000, (query) => query("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
  });

  it("a database that was read-only for a while is written to again", async () => {
    const { use } = await open();
    const write = () =>
      use(5_000, async (query) => {
        await query("BEGIN");
        try {
          await query("CREATE TABLE IF NOT EXISTS written (n int)");
          await query("COMMIT");
        } catch (error) {
          await query("ROLLBACK");
          throw error;
        }
      });
    const setting = (sql: string) => use(5_000, (query) => query(sql));
    await setting("ALTER DATABASE postgres SET default_transaction_read_only = on");
    // The setting is for connections made from then on.
    await use(5_000, (query) => query("SELECT pg_terminate_backend(pg_backend_pid())")).catch(() => {});
    await expect(write()).rejects.toMatchObject({ code: "unavailable" });
    await setting("BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT");
    // A connection that was made in between is used no more.
    await expect.poll(() => write().then(() => "written", String)).toBe("written");
  });

  it("close() lets work end, cuts off what hangs, and leaves the caller's pool open", async () => {
    const pool = new pg.Pool({ connectionString: service.url, max: 3 });
    const connections = await open({ pool });
    const quick = connections.use(60_000, (query) => query("SELECT pg_sleep(0.2)"));
    const slow = connections.use(60_000, (query) => query("SELECT pg_sleep(60)"));
    const outcomes = Promise.allSettled([quick, slow]);
    await connections.close();
    expect(await outcomes).toMatchObject([{ status: "fulfilled" }, { reason: { code: "closed" } }]);
    await expect(connections.use(1_000, (query) => query("SELECT 1"))).rejects.toMatchObject({
      code: "closed",
    });
    expect((await pool.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    expect(pool.listenerCount("error")).toBe(0);
    await pool.end();
  });

  it.each(["idle", "in use", "being made"])(
    "close() lets the process end when the server hangs: a connection %s",
    async (state) => {
      const module = new URL("../../src/services/postgres-pool.ts", import.meta.url);
      const child = spawn(
        process.execPath,
        ["--input-type=module", "--eval", CLOSES_WHEN_TOLD, module.href, service.url, state],
        { stdio: ["pipe", "pipe", "inherit"] },
      );
      await once(child.stdout, "data");
      service.pause();
      try {
        const start = performance.now();
        child.stdin.end("close");
        expect(await once(child, "exit")).toEqual([0, null]);
        // Work has two seconds to end.
        expect(performance.now() - start).toBeLessThan(state === "idle" ? 1_500 : 3_500);
      } finally {
        service.resume();
      }
    },
  );

  it("refuses a standby, until it is promoted", async () => {
    const [shown] = await onPostgres(service.url, "SHOW data_directory");
    writeFileSync(join(shown!.rows[0].data_directory, "standby.signal"), "");
    await service.kill();
    await service.start();
    const { use } = await open();
    await expect(use(5_000, (query) => query("SELECT 1"))).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("is a standby"),
    });
    await onPostgres(service.url, "SELECT pg_promote()");
    expect(await use(5_000, (query) => query("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
  });

  it("leaves no connection behind", async () => {
    const { use, close } = await open();
    await Promise.all([1, 2].map(() => use(5_000, (query) => query("SELECT 1"))));
    await close();
    await eventually(async () => {
      const [, result] = await onPostgres(
        service.url,
        "SELECT 1",
        "SELECT * FROM pg_stat_activity WHERE application_name = 'tidings'",
      );
      expect(result!.rows).toEqual([]);
    });
  });
});

/** A program that uses a connection of a server, and closes all when it reads something. */
const CLOSES_WHEN_TOLD = `
  const [module, url, state] = process.argv.slice(1);
  const { openConnections } = await import(module);
  const { use, close } = await openConnections({ url }, { where: "test", max: 2, onError() {} });
  await use(600_000, (query) => query("SELECT 1"));
  if (state === "in use") use(600_000, (query) => query("SELECT pg_sleep(60)")).catch(() => {});
  process.stdout.write("ready");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdin.destroy();
  if (state === "being made")
    for (let n = 0; n < 2; n++) use(600_000, (query) => query("SELECT 1")).catch(() => {});
  await close();
`;

function options(errors: unknown[] = []) {
  return { where: WHERE, max: 2, onError: (error: unknown) => errors.push(error) };
}
