import { describe, expect, test } from "vitest";
import { nearest, parseCommandLine, shown } from "../../src/app/flags.ts";

const TYPES = { port: "string", token: "string", html: "boolean" } as const;

describe("parseCommandLine", () => {
  test("takes flags in both spellings, before and after the rest", () => {
    expect(parseCommandLine(["--port", "1", "finals", "--token=a=b", "--html", "Goal!"], TYPES)).toEqual({
      flags: { port: "1", token: "a=b", html: true },
      positionals: ["finals", "Goal!"],
    });
  });

  test("takes negative channel ids, list items and a lone dash as they are", () => {
    const words = ["-100123", "- bread", "-"];
    expect(parseCommandLine(words, TYPES)).toEqual({ flags: {}, positionals: words });
  });

  test("takes all that follows -- as it is", () => {
    expect(parseCommandLine(["--html=false", "--", "--port", "-x"], TYPES)).toEqual({
      flags: { html: false },
      positionals: ["--port", "-x"],
    });
  });

  test.for([
    [["--prot", "1"], "unknown flag --prot; did you mean --port?"],
    [["-port=1"], "unknown flag -port; did you mean --port?"],
    [["--zzzz"], "unknown flag --zzzz"],
    [["--port"], "--port needs a value"],
    [["--port", "--html"], "--port needs a value"],
    [["--html=maybe"], "--html stands alone, or takes =true or =false"],
    [["--constructor"], "unknown flag --constructor"],
    [["-redis://u:s3cr3t@host"], 'unknown flag "-redis://…@host"'],
    [[`--${"x".repeat(100)}`], `unknown flag "--${"x".repeat(76)}…`],
  ] as const)("refuses %j", ([args, detail]) => {
    expect(() => parseCommandLine(args, TYPES)).toThrow(
      expect.objectContaining({ code: "settings", detail }),
    );
  });

  test("shows no value of a flag it does not know", () => {
    expect(() => parseCommandLine(["--tokn=hush"], TYPES)).toThrow(/^\[tidings\] unknown flag --tokn; did/);
  });
});

test("nearest finds slips of the finger and nothing else", () => {
  const known = ["TIDINGS_PORT", "TIDINGS_HOST", "TIDINGS_TOKEN"];
  expect(nearest("TIDINGS_PROT", known)).toBe("TIDINGS_PORT");
  expect(nearest("tidings_token", known)).toBe("TIDINGS_TOKEN");
  expect(nearest("weather", known)).toBeUndefined();
});

test("shown is one short line, without the password of a URL, whatever that holds", () => {
  expect(shown("redis://u:s3cr3t\u2028x\n/@host")).toBe('"redis://…@host"');
  expect(shown("a\u2028b")).toBe('"a\\u2028b"');
  expect(shown("postgres://host/db?password=s3cr3t&x=1")).toBe('"postgres://host/db?password=…&x=1"');
  expect(shown("x".repeat(100))).toHaveLength(80);
});

test("shown takes no longer for a long value of many slashes than for another", () => {
  const slashes = "/".repeat(200_000);
  const began = process.cpuUsage();
  expect(shown(slashes)).toHaveLength(80);
  expect(shown(`${slashes}s3cr3t@host`)).toBe('"//…@host"');
  // With the square of its length: tens of seconds.
  expect(process.cpuUsage(began).user).toBeLessThan(2_000_000);
});
