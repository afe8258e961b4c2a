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

/**
 * The banner, plain text.
 *
 * @param isTerminal Else it goes into a log, where nobody who reads it must find a way in.
 */
export function banner({ readers, editor, token, tokenFile }: Greeting, isTerminal: boolean): string {
  const lines = [
    "",
    "  Tidings is running.",
    "",
    `  Readers  ${readers}`,
    `  Editor   ${isTerminal ? `${editor}  (this link logs in once)` : editor.replace(/#.*/, "")}`,
  ];
  if (token !== undefined) {
    const where = `in ${tokenFile}, which its owner alone may read`;
    lines.push(
      `  Token    ${isTerminal ? token : where}`,
      "",
      `  The token is what the API and "${COMMAND} post" need${isTerminal ? `; it is kept ${where}` : ""}.`,
    );
  }
  return [...lines, ""].join("\n");
}
