/** `tidings post <channel id> [text]`: a reporter's terminal. */
import { readFileSync } from "node:fs";
import { text as readAll } from "node:stream/consumers";
import { TidingsError } from "../../errors.ts";
import type { Image, Post } from "../../pages/model.ts";
import { COMMAND } from "../command-name.ts";
import { didYouMean, type FlagTypes, parseCommandLine } from "../flags.ts";
import { API_FLAGS, type Api, connectApi } from "./api.ts";
import { listPages } from "./pages.ts";

const FLAGS: FlagTypes = { html: "boolean", image: "string", alt: "string", hidden: "boolean", ...API_FLAGS };

/** Publishes one post and prints its id and the page's address. */
export async function run(args: readonly string[]): Promise<void> {
  const { flags, positionals } = parseCommandLine(args, FLAGS);
  const [channelId, ...words] = positionals;
  if (channelId === undefined) throw usage(`say which page: ${COMMAND} post <channel id> [text]`);
  if (flags.alt !== undefined && flags.image === undefined)
    throw usage("--alt describes a picture: it needs --image");

  const picture = flags.image === undefined ? undefined : readPicture(flags.image as string);
  const value = await readText(words, picture !== undefined);
  if (value === "" && picture === undefined) throw usage("there is no text to post");

  const api = await connectApi(flags);
  const content: object[] = value === "" ? [] : [{ type: flags.html ? "html" : "text", value }];
  if (picture !== undefined) {
    const image = (await api.request({ method: "POST", path: "api/images", bytes: picture })) as Image;
    content.push({ type: "image", value: image.id, alt: flags.alt ?? "" });
  }
  const path = `api/pages/${encodeURIComponent(channelId)}/posts`;
  const json = flags.hidden ? { content, show: false } : { content };
  const post = (await api.request({ method: "POST", path, json }).catch(async (error: unknown) => {
    throw error instanceof TidingsError && error.code === "not_found" ? await noPage(api, channelId) : error;
  })) as Post;
  console.log(`${post.id} ${api.readerUrl(channelId)}`);
}

async function readText(words: readonly string[], hasPicture: boolean): Promise<string> {
  const given = words.join(" ");
  if (given !== "-" && (given !== "" || hasPicture)) return given;
  if (process.stdin.isTTY) console.error("Write the post; end it with Ctrl+D on a line of its own.");
  return (await readAll(process.stdin)).trimEnd();
}

function readPicture(file: string): Uint8Array<ArrayBuffer> {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new TidingsError("settings", `--image (flag): ${file} cannot be read`, { cause });
  }
}

async function noPage(api: Api, channelId: string): Promise<TidingsError> {
  const ids = (await listPages(api)).map((page) => page.channelId);
  const some =
    ids.length === 0
      ? "there is none yet"
      : `there ${ids.length === 1 ? "is" : "are"} ${ids.slice(0, 5).join(", ")}`;
  const more = ids.length > 5 ? ` and ${ids.length - 5} more` : "";
  return new TidingsError(
    "not_found",
    `there is no page ${channelId} (${some}${more})${didYouMean(channelId, ids)}; make it with: ${COMMAND} pages create ${channelId}`,
  );
}

function usage(message: string): TidingsError {
  return new TidingsError("settings", message);
}
