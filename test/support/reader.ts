import { WebSocket } from "ws";

interface Shown {
  at: number;
  show: boolean;
  content: string;
}

/**
 * A reader's page, modelled from PROTOCOL.md alone: it shares no code with src/. It reconnects with its cursor, and
 * notes what must not happen: an update that comes twice, goes back, or leaves a number out unseen.
 */
export class ModelReader {
  readonly posts: Map<string, Shown> = new Map();
  readonly channel: string;
  cursor: string;
  /** What broke the rules. */
  readonly faults: string[] = [];
  /** Frames that carried an update. */
  frames = 0;
  resets = 0;
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #url: string;
  #ended = false;

  /** @param url `http://host:port` of the server; {@link moveTo} changes it. */
  constructor(url: string, channel: string, cursor = "") {
    this.#url = url;
    this.channel = channel;
    this.cursor = cursor;
  }

  /** Resolves when the connection is open. */
  connect(): Promise<void> {
    const query = this.cursor && `?cursor=${encodeURIComponent(this.cursor)}`;
    const socket = new WebSocket(
      `${this.#url.replace("http", "ws")}/ws/channel/${encodeURIComponent(this.channel)}/${query}`,
      { perMessageDeflate: false },
    );
    this.#socket = socket;
    socket.on("message", (data) => socket === this.#socket && this.#take(String(data)));
    const again = () => {
      if (socket !== this.#socket || this.#ended) return;
      this.#socket = undefined;
      this.#timer = setTimeout(() => void this.connect().catch(() => {}), 50 + Math.random() * 200);
    };
    socket.on("close", again);
    return new Promise((resolve, reject) => {
      socket.on("open", () => resolve());
      socket.on("error", reject);
    });
  }

  /** Leaves, and goes on at another server. */
  async moveTo(url: string): Promise<void> {
    this.#url = url;
    const left = this.#socket;
    this.#socket = undefined;
    clearTimeout(this.#timer);
    left?.terminate();
    await this.connect();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  /** What is seen, newest first: id and HTML. */
  seen(): [string, string][] {
    return [...this.posts]
      .filter(([, { show }]) => show)
      .sort(([, a], [, b]) => b.at - a.at)
      .map(([id, { content }]) => [id, content]);
  }

  #take(text: string): void {
    const frame = JSON.parse(text) as {
      renders: Record<string, Shown>;
      removals: string[];
      cursor?: string;
      reset?: boolean;
    };
    if (frame.cursor === undefined) return;
    if (frame.reset) {
      this.resets++;
      this.faults.push(`reset from ${this.cursor} to ${frame.cursor}`);
      this.cursor = frame.cursor;
      return;
    }
    const isEmpty = Object.keys(frame.renders).length + frame.removals.length === 0;
    // Numbers grow through all epochs of a page.
    if (isEmpty && frame.cursor === this.cursor) return;
    if (this.cursor && seqOf(frame.cursor) <= seqOf(this.cursor)) {
      this.faults.push(`${frame.cursor} after ${this.cursor}`);
      return;
    }
    this.frames++;
    for (const [id, shown] of Object.entries(frame.renders)) {
      const known = this.posts.get(id);
      if (known && known.at !== shown.at) this.faults.push(`${id} moved from ${known.at} to ${shown.at}`);
      this.posts.set(id, shown);
    }
    for (const id of frame.removals) this.posts.delete(id);
    this.cursor = frame.cursor;
  }
}

/** The number in a cursor. */
export function seqOf(cursor: string): number {
  return Number(cursor.slice(cursor.lastIndexOf(".") + 1));
}
