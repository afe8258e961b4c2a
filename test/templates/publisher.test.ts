import { describe, expect, test } from "vitest";
import { publisherTags } from "../../src/templates/publisher.ts";

describe("the publisher's tags", () => {
  test("are the guide's", () => {
    expect(publisherTags({ channelId: "finals", serverHost: "localhost", serverPort: 8765 })).toBe(`<script>
  const channelID = "finals";
  const serverHost = "localhost";
  const serverPort = "8765";
  const useSecureWsConnection = false;
</script>
<script src="/assets/tidings.js"></script>
<script>
  tidings.connect({ url: \`\${serverHost}:\${serverPort}\` });
</script>`);
  });

  test("carry a nonce, another place of the assets, and any channel id", () => {
    const tags = publisherTags({
      channelId: "</script>\u2028\"'",
      serverHost: "[::1]",
      serverPort: "443",
      useSecureWsConnection: true,
      assetsUrl: "https://cdn.example.com/a",
      nonce: "abc",
    });
    expect(tags.match(/<script nonce="abc"/g)).toHaveLength(3);
    expect(tags).toContain('const channelID = "\\u003c/script\\u003e\\u2028\\"\\u0027";');
    expect(tags).toContain("const useSecureWsConnection = true;");
    expect(tags).toContain(' src="https://cdn.example.com/a/tidings.js"');
  });

  test.each([
    [{ serverHost: 'x";alert(1)//', serverPort: 1 }],
    [{ serverHost: "a b", serverPort: 1 }],
    [{ serverHost: "", serverPort: 1 }],
    [{ serverHost: "x", serverPort: 0 }],
    [{ serverHost: "x", serverPort: 65_536 }],
    [{ serverHost: "x", serverPort: "80/" }],
  ])("refuse %o", (settings) => {
    expect(() => publisherTags(settings)).toThrow(expect.objectContaining({ code: "settings" }));
  });
});
