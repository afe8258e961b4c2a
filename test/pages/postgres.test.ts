import { afterAll, beforeAll, describe, it } from "vitest";
import { postgresStore } from "../../src/pages/postgres.ts";
import { logSuite } from "../../src/testing/log-suite.ts";
import { storeSuite } from "../../src/testing/store-suite.ts";
import { describeWith } from "../support/describe-with.ts";
import { emptyPostgres, onPostgres } from "../support/postgres.ts";
import { type Service, startService } from "../support/services.ts";

describeWith("postgres", () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService("postgres");
  });
  afterAll(() => service.close());

  const open = () => postgresStore({ url: service.url, connections: 4 });

  async function make() {
    await emptyPostgres(service.url);
    return { value: await open() };
  }

  /** As it is for processes after the server's restart; the restart itself is tested below. */
  async function reopen() {
    await onPostgres(service.url, "UPDATE tidings.channels SET run = 'before the restart'");
    return open();
  }

  storeSuite({ describe, it }, { make, reopen });
  logSuite({ describe, it }, { make, reopen });
});
