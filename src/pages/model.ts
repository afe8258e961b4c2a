/** What pages and posts are made of. Plain data; times are milliseconds since 1970 (UTC). */
import type { Cursor } from "../protocol.ts";

/** A live page. */
export interface Page {
  /** Its name in URLs and on the wire (see `isId`). */
  readonly channelId: string;
  readonly title: string;
  readonly created: number;
  /** When its title or one of its posts last changed. */
  readonly modified: number;
  /** Its newest cursor. */
  readonly cursor: Cursor;
  /** How many posts it shows. */
  readonly posts: number;
}

/** Plain text: escaped, with links and line breaks made visible. */
export interface TextBlock {
  readonly type: "text";
  readonly value: string;
}

/** Rich text as HTML; sanitised where it enters. */
export interface HtmlBlock {
  readonly type: "html";
  readonly value: string;
}

/** A picture. */
export interface ImageBlock {
  readonly type: "image";
  /** An uploaded picture's id, or an http(s) URL. */
  readonly value: string;
  /** What it shows, for those who don't see it; empty when it only decorates. */
  readonly alt: string;
  /** Pixels, where known (uploaded pictures): the page keeps the room free while the picture loads. */
  readonly width?: number;
  readonly height?: number;
}

/** Something from elsewhere, by its http(s) URL: a player where the provider is known, else a link. */
export interface EmbedBlock {
  readonly type: "embed";
  readonly value: string;
}

export type Block = TextBlock | HtmlBlock | ImageBlock | EmbedBlock;

/** A live post. */
export interface Post {
  readonly id: string;
  readonly created: number;
  /** When its content last changed; equals `created` until then. */
  readonly modified: number;
  /** `false`: hidden from readers. */
  readonly show: boolean;
  /** Its place on the page; greater is newer. */
  readonly at: number;
  readonly content: readonly Block[];
  /** Changes with every change of the post: its `ETag`. */
  readonly version: string;
}

/** An uploaded picture's description. */
export interface Image {
  readonly id: string;
  readonly type: "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "image/avif";
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly created: number;
}
