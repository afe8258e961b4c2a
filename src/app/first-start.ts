/** The first start: a page to look at, and what the terminal says. */
import { TidingsError } from "../errors.ts";
import type { PageStore } from "../pages/store.ts";
import type { PagePublisher } from "../publishers/pages.ts";
import { COMMAND } from "./command-name.ts";

/** What the terminal tells whoever started the server. */
export interface Greeting {
  readonly readers: string;
  /** Its fragment holds a code that logs in once. */
  readonly editor: string;
  /** Only when it has just been made, or its file was missing. */
  readonly token?: string;
  readonly tokenFile?: string;
}

const WELCOME = `This page is live: leave it open, and open the editor beside it. What you publish there appears here, at once.

Publish it from a terminal, too: ${COMMAND} post welcome "Kick-off!"`;

/** Makes the `welcome` page in a store that never had one; returns the newest page's channel id. */
export async function firstPage(store: PageStore, pages: PagePublisher): Promise<string | undefined> {
  const { made } = await store.secret("welcomed", () => "yes");
  if (made) {
    try {
      await pages.createPage({ channelId: "welcome", title: "Welcome to Tidings" });
      await pages.createPost("welcome", { content: [{ type: "text", value: WELCOME }] });
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== "conflict") throw error;
    }
  }
  return (await store.listPages({ limit: 1 })).items[0]?.channelId;
}

/** The banner, plain text. */
export function banner({ readers, editor, token, tokenFile }: Greeting, showCode: boolean): string {
  const lines = [
    "",
    "  Tidings is running.",
    "",
    `  Readers  ${readers}`,
    `  Editor   ${showCode ? `${editor}  (this link logs in once)` : editor.replace(/#.*/, "")}`,
  ];
  if (token !== undefined) {
    lines.push(
      `  Token    ${token}`,
      "",
      `  The token is what the API and "${COMMAND} post" need; it is kept in ${tokenFile}.`,
    );
  }
  return [...lines, ""].join("\n");
}
