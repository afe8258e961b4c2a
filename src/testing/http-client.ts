/** HTTP as the suites speak it: over a bare socket, which can be paused, cut, and made to say what no client says. */
import { connect, type Socket } from "node:net";

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default `1.1`. */
  readonly version?: "1.0" | "1.1";
}

export interface Answered {
  readonly status: number;
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
  readonly socket: Socket;
  /** The body so far, and its end. */
  body(): string;
  readonly ended: Promise<string>;
  /** Calls back with each part of the body; what has come already first. */
  onText(hear: (text: string) => void): void;
}

/** Asks, and resolves when the head of the answer is there. The connection is closed after the answer. */
export function ask(url: string, asking: Asking = {}): Promise<Answered> {
  const { hostname, port, host } = new URL(url);
  const { method = "GET", headers = {}, version = "1.1" } = asking;
  // As it was written: a URL would mend it.
  const target = url.slice(url.indexOf(host) + host.length);
  const lines = Object.entries({ host, connection: "close", ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(`${method} ${target} HTTP/${version}\r\n${lines.join("\r\n")}\r\n\r\n`),
    );
    const hearers: ((text: string) => void)[] = [];
    const decoder = new TextDecoder();
    const end = Promise.withResolvers<string>();
    end.promise.catch(() => {});
    let head = Buffer.alloc(0);
    let body = "";
    let take: ((bytes: Buffer) => boolean) | undefined;
    const more = (bytes: Buffer) => {
      const text = decoder.decode(bytes, { stream: true });
      body += text;
      for (const hear of hearers) hear(text);
    };
    const over = () => {
      end.resolve(body);
      socket.destroy();
    };
    socket.on("data", (data: Buffer) => {
      if (take) return take(data) && over();
      head = Buffer.concat([head, data]);
      const headEnds = head.indexOf("\r\n\r\n");
      if (headEnds < 0) return;
      const [first = "", ...rest] = head.subarray(0, headEnds).toString("latin1").split("\r\n");
      const answered = Object.fromEntries(
        rest.map((line) => [
          line.slice(0, line.indexOf(":")).toLowerCase(),
          line.slice(line.indexOf(":") + 1).trim(),
        ]),
      );
      const status = Number(first.split(" ")[1]);
      const isEmpty = method === "HEAD" || status === 304 || status === 204;
      take = isEmpty ? () => true : bodyOf(answered, more);
      resolve({
        status,
        headers: answered,
        socket,
        body: () => body,
        ended: end.promise,
        onText(hear) {
          if (body) hear(body);
          hearers.push(hear);
        },
      });
      if (take(head.subarray(headEnds + 4))) over();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      reject(new Error(`${method} ${target}: the connection ended without an answer`));
      // Without a length, the end of the connection is the end of the body.
      end.resolve(body);
    });
  });
}

/** The status, headers and whole body of an answer that ends. */
export async function answerOf(
  url: string,
  asking: Asking = {},
): Promise<{ status: number; headers: Readonly<Record<string, string>>; body: string }> {
  const { status, headers, ended } = await ask(url, asking);
  return { status, headers, body: await ended };
}

/** Takes the bytes of a body; says when it is whole. */
function bodyOf(
  headers: Readonly<Record<string, string>>,
  more: (bytes: Buffer) => void,
): (bytes: Buffer) => boolean {
  if (headers["transfer-encoding"] === "chunked") return chunks(more);
  let left = Number(headers["content-length"] ?? Number.POSITIVE_INFINITY);
  return (bytes) => {
    left -= bytes.length;
    more(bytes);
    return left <= 0;
  };
}

function chunks(more: (bytes: Buffer) => void): (bytes: Buffer) => boolean {
  /** What is left of the present chunk, with the line end behind it; 0: its size is to be read. */
  let left = 0;
  let line = "";
  return (bytes) => {
    for (let at = 0; at < bytes.length; ) {
      if (left === 0) {
        const ends = bytes.indexOf(0x0a, at);
        line += bytes.toString("latin1", at, ends < 0 ? bytes.length : ends + 1);
        if (ends < 0) return false;
        at = ends + 1;
        const size = Number.parseInt(line, 16);
        line = "";
        if (size === 0) return true;
        left = size + 2;
        continue;
      }
      const part = bytes.subarray(at, at + left);
      at += part.length;
      const text = Math.min(part.length, left - 2);
      if (text > 0) more(part.subarray(0, text));
      left -= part.length;
    }
    return false;
  };
}
