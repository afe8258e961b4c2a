/**
 * Before the tests: the programs they run against, beyond what npm installs. Says nothing when all are there;
 * installs what is missing where it can (root, on Debian or Ubuntu); else says in one line what to install.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chromiumPath } from "../test/support/browser.ts";
import { pythonWith } from "../test/support/python.ts";
import { isInstalled, type ServiceKind } from "../test/support/services.ts";

interface Tool {
  readonly name: string;
  isThere(): boolean;
  /** Debian's packages that bring it. */
  readonly packages: readonly string[];
  /** Another way, where there is no apt-get. */
  readonly otherwise: string;
  /** The tests can do without. */
  readonly optional?: boolean;
}

/** A server that the tests start: without it its tests are left out, except in CI. */
const server = (name: string, kind: ServiceKind, packages: readonly string[]): Tool => ({
  name,
  isThere: () => isInstalled(kind),
  packages,
  otherwise: "",
  optional: process.env.CI === undefined,
});

/** A row a tool. */
const TOOLS: readonly Tool[] = [
  {
    name: "Chromium",
    isThere: () => succeeds(chromiumPath),
    packages: ["chromium", "fonts-dejavu-core"],
    otherwise: "or name a Chrome in TIDINGS_TEST_CHROMIUM",
  },
  server("Redis", "redis", ["redis-server"]),
  server("NATS", "nats", ["nats-server"]),
  server("PostgreSQL", "postgres", ["postgresql"]),
  server("RabbitMQ", "rabbitmq", ["rabbitmq-server"]),
  server("nginx", "nginx", ["nginx", "openssl"]),
  server("HAProxy", "haproxy", ["haproxy"]),
  {
    name: "Django, redis-py and channels_redis",
    isThere: () => pythonWith("django", "redis", "channels_redis") !== undefined,
    packages: ["python3-django", "python3-redis", "python3-channels-redis"],
    otherwise: "",
    optional: process.env.CI === undefined,
  },
];

const missing = (): readonly Tool[] => TOOLS.filter((tool) => !tool.isThere());
const names = (tools: readonly Tool[]): string => tools.map((tool) => tool.name).join(", ");

if (missing().length > 0 && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
  console.error(`Installing what the tests run against: ${names(missing())} …`);
  const packages = missing().flatMap((tool) => tool.packages);
  aptGet("update") && aptGet("install", "-y", "--no-install-recommends", ...packages);
}

const lacking = missing().filter(({ optional }) => !optional);
if (lacking.length > 0) {
  const packages = lacking.flatMap((tool) => tool.packages).join(" ");
  const ways = [`apt-get install ${packages}`, ...lacking.map((tool) => tool.otherwise)]
    .filter(Boolean)
    .join(", ");
  console.error(`The tests need ${names(lacking)}: ${ways}`);
  process.exitCode = 1;
}

/** Runs apt-get; shows the end of what it said only when it fails. */
function aptGet(...args: string[]): boolean {
  const { status, stdout, stderr } = spawnSync(
    "/usr/bin/apt-get",
    ["-q", "-o", "DPkg::Lock::Timeout=120", ...args],
    {
      encoding: "utf8",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  if (status === 0) return true;
  console.error(`${stdout}${stderr}`.trimEnd().split("\n").slice(-5).join("\n"));
  return false;
}

function succeeds(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch {
    return false;
  }
}
