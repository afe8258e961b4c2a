/** `tidings pages`: lists, makes and deletes pages. */
import { createInterface } from "node:readline/promises";
import { TidingsError } from "../../errors.ts";
import type { Page } from "../../pages/model.ts";
import type { Part } from "../../pages/store.ts";
import { COMMAND } from "../command-name.ts";
import { type FlagTypes, parseCommandLine } from "../flags.ts";
import { API_FLAGS, type Api, connectApi } from "./api.ts";

const FLAGS: FlagTypes = { json: "boolean", yes: "boolean", ...API_FLAGS };

export async function run(args: readonly string[]): Promise<void> {
  const { flags, positionals } = parseCommandLine(args, FLAGS);
  const [action = "list", channelId, ...words] = positionals;
  if (action === "list") {
    const api = await connectApi(flags);
    const pages = await listPages(api);
    console.log(flags.json ? JSON.stringify(pages, null, 2) : table(api, pages));
    return;
  }
  if (action !== "create" && action !== "delete") {
    throw new TidingsError(
      "settings",
      `tidings pages knows list, create and delete, not ${JSON.stringify(action)}`,
    );
  }
  if (channelId === undefined) {
    throw new TidingsError("settings", `say which page: ${COMMAND} pages ${action} <channel id>`);
  }
  const api = await connectApi(flags);
  if (action === "create") await create(api, channelId, words.join(" ") || channelId, flags.json === true);
  else await remove(api, channelId, flags.yes === true);
}

/** All pages, newest first. */
export async function listPages(api: Api): Promise<readonly Page[]> {
  const pages: Page[] = [];
  let after: string | null = "";
  while (after !== null) {
    const query: string = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
    const part = (await api.request({ method: "GET", path: `api/pages?limit=100${query}` })) as Part<Page>;
    pages.push(...part.items);
    after = part.next;
  }
  return pages;
}

async function create(api: Api, channelId: string, title: string, json: boolean): Promise<void> {
  const page = (await api.request({ method: "POST", path: "api/pages", json: { channelId, title } })) as Page;
  console.log(json ? JSON.stringify(page, null, 2) : `${page.channelId} ${api.readerUrl(page.channelId)}`);
}

async function remove(api: Api, channelId: string, sure: boolean): Promise<void> {
  const path = `api/pages/${encodeURIComponent(channelId)}`;
  if (!sure) {
    const page = (await api.request({ method: "GET", path })) as Page;
    const what = `${printable(page.title)} (${channelId}) with its posts (${page.posts})`;
    if (!process.stdin.isTTY) {
      throw new TidingsError("settings", `to delete ${what} for good, say --yes`);
    }
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    const reply = await terminal.question(`Delete ${what} for good? Type yes: `);
    terminal.close();
    if (reply.trim().toLowerCase() !== "yes") throw new TidingsError("invalid", "nothing deleted");
  }
  await api.request({ method: "DELETE", path });
  console.log(`${channelId} deleted`);
}

function table(api: Api, pages: readonly Page[]): string {
  if (pages.length === 0) return `No pages yet. Make one with: ${COMMAND} pages create <channel id> [title]`;
  const rows = [
    ["CHANNEL ID", "TITLE", "POSTS", "LINK"],
    ...pages.map(({ channelId, title, posts }) => [
      channelId,
      printable(title),
      String(posts),
      api.readerUrl(channelId),
    ]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => [...row[column]!].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - [...cell].length)))
        .join("  "),
    )
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Titles come from anyone with the token: they must not steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, " ");
}
