/** What a Wagtail Live site does, as its Python does it: nothing here is of src/. */
import { createClient } from "redis";

/** A post as the site renders it. */
export const sitePost = (id: string, text: string): string =>
  `<div class="live-post" data-post-id="${id}"><div class="live-post-content"><div class="post-block">${text}</div></div></div>`;

export interface SiteUpdate {
  readonly renders?: readonly (readonly [id: string, show: boolean, content: string])[];
  readonly removals?: readonly string[];
}

/** `json.dumps`: spaces after commas and colons, ASCII alone, keys in the order they were put in. */
export function pythonJson({ renders = [], removals = [] }: SiteUpdate): string {
  const text = (value: string) =>
    JSON.stringify(value).replace(
      /[^\x20-\x7e]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  const posts = renders.map(
    ([id, show, content]) => `${text(id)}: {"show": ${show}, "content": ${text(content)}}`,
  );
  return `{"renders": {${posts.join(", ")}}, "removals": [${removals.map(text).join(", ")}]}`;
}

export interface WagtailSite {
  /** `PUBLISH group_<page>`; resolves with how many heard it. */
  publish(page: string, update: SiteUpdate | string | Buffer): Promise<number>;
  close(): void;
}

/** The publishing side of a site. It comes back when Redis does. */
export async function wagtailSite(redisUrl: string): Promise<WagtailSite> {
  const client = createClient({ url: redisUrl, socket: { reconnectStrategy: 100 } });
  client.on("error", () => {});
  await client.connect();
  return {
    publish: (page, update) => {
      const message =
        typeof update === "string" || update instanceof Uint8Array ? update : pythonJson(update);
      return client.publish(`group_${page}`, message as string);
    },
    close: () => client.destroy(),
  };
}
