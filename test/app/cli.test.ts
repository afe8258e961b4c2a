import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { runCli } from "../support/cli.ts";
import { loadsIn, TELLING_LOADS } from "../support/loads.ts";

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tidings-cli-"));
});
afterAll(() => rm(cwd, { recursive: true }));

describe("help and version", () => {
  test.for([["help"], ["--help"], ["-h"]])("%s names every command", async ([word]) => {
    const { status, stdout, stderr } = await runCli([word!]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const command of ["serve", "post", "pages", "help"]) expect(stdout).toContain(`tidings ${command}`);
  });

  test.for([
    [["help", "serve"], "--max-connections-per-address"],
    [["serve", "--help"], "--max-connections-per-address"],
    [["help", "relay"], "--redis-url"],
    [["post", "finals", "-h"], "--hidden"],
    [["help", "pages"], "pages create"],
  ] as const)("%j tells of the command's flags", async ([args, flag]) => {
    const { status, stdout } = await runCli(args);
    expect(status).toBe(0);
    expect(stdout).toContain(flag);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test("no command is no success, and shows the help where no pipe takes it for output", async () => {
    const { status, stdout, stderr } = await runCli([]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain("tidings serve");
  });

  test("--version is the package's", async () => {
    expect(await runCli(["--version"])).toEqual({
      status: 0,
      stdout: `${packageJson.version}\n`,
      stderr: "",
    });
  });
});

test("a command loads no library that only servers need", async () => {
  const commands = [
    ["--version"],
    ["help"],
    ["pages", "--url", "http://127.0.0.1:1", "--data", cwd, "delete"],
  ];
  const outputs = await Promise.all(commands.map((args) => runCli(args, { cwd, node: [TELLING_LOADS] })));
  const [version, ...others] = outputs.map(({ stdout }) => [...loadsIn(stdout, "starting")]);
  expect(version).toEqual([]);
  for (const libraries of others) expect(libraries).toEqual(["zod"]);
});

describe("a wrong command line is one line and exit code 2", () => {
  test.for([
    [["sevre"], `tidings: unknown command "sevre"; did you mean serve?\n`],
    [["weather"], `tidings: unknown command "weather"; see: tidings help\n`],
    [["serve", "--prot", "1"], "tidings: unknown flag --prot; did you mean --port?\n"],
    [["serve", "9000"], `tidings: tidings serve takes flags only, not "9000"\n`],
    [["serve", "redis://u:s3cr3t@host"], `tidings: tidings serve takes flags only, not "redis://…@host"\n`],
    [["post"], "tidings: say which page: npm run tidings -- post <channel id> [text]\n"],
    [["post", "finals"], "tidings: there is no text to post\n"],
    [["post", "finals", "x", "--alt", "y"], "tidings: --alt describes a picture: it needs --image\n"],
    [["post", "finals", "--image", "/no/such"], "tidings: --image (flag): /no/such cannot be read\n"],
    [["pages", "remove"], `tidings: tidings pages knows list, create and delete, not "remove"\n`],
    [["pages", "create"], "tidings: say which page: npm run tidings -- pages create <channel id>\n"],
    [
      ["post", "finals", "x", "--url", "live.example"],
      "tidings: --url (flag) must be an http or https URL such as https://live.example\n",
    ],
  ] as const)("%j", async ([args, stderr]) => {
    expect(await runCli(args)).toEqual({ status: 2, stdout: "", stderr });
  });

  test.for(["serve", "post", "pages"])("%s reads the settings", async (command) => {
    const result = await runCli([command, "finals", "x"].slice(0, command === "post" ? 3 : 1), {
      env: { TIDINGS_PORT: "http" },
    });
    const stderr = `tidings: TIDINGS_PORT (environment) is "http"; it must be a port number from 0 to 65535 (0: any free one)\n`;
    expect(result).toEqual({ status: 2, stdout: "", stderr });
  });

  test("a config file in TypeScript is read too", async () => {
    await writeFile(join(cwd, "tidings.config.ts"), "const port: string = 'http'; export default { port };");
    const { status, stderr } = await runCli(["serve"], { cwd });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^tidings: port \(tidings\.config\.ts\) is "http"; it must be .*\n$/);
  });

  test("a Node that is too old says so, and nothing else", async () => {
    const pretend = `data:text/javascript,Object.defineProperty(process.versions, "node", { value: "20.20.0" })`;
    const result = await runCli(["serve"], { node: ["--import", pretend] });
    expect(result).toEqual({
      status: 2,
      stdout: "",
      stderr: "tidings: Node 22.13 or newer is needed; this is 20.20.0\n",
    });
  });
});
