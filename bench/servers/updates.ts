/** What both servers of Tidings do with an update that comes over HTTP. */
import type { RendersInput } from "../../src/protocol.ts";
import type { Publisher } from "../../src/publishers/publisher.ts";

export function publishWith(publisher: Publisher): (channel: string, body: Buffer) => Promise<unknown> {
  return (channel, body) => {
    const { renders, removals } = JSON.parse(body.toString()) as {
      renders: RendersInput;
      removals?: string[];
    };
    return publisher.publish(channel, renders, removals);
  };
}

export interface Prepared {
  readonly pages?: number;
  readonly posts?: number;
  readonly edits?: number;
  /** How many posts the edits go over, in turn. Default: all that were made with them. */
  readonly among?: number;
}

const TOGETHER = 500;
let rounds = 0;

/** Makes a history, many at a time: a log on disk flushes for all that wait. */
export async function prepare(publisher: Publisher, prepared: Prepared): Promise<void> {
  const { pages = 0, posts = 0, edits = 0, among = posts } = prepared;
  const content = `<p>${"The referee looks at his watch. ".repeat(20)}</p>`;
  const all = async (count: number, publish: (n: number) => Promise<unknown>) => {
    for (let n = 0; n < count; n += TOGETHER) {
      await Promise.all(Array.from({ length: Math.min(TOGETHER, count - n) }, (_, i) => publish(n + i)));
    }
  };
  const round = rounds++;
  await all(pages, (n) => publisher.publish(`other-${n}`, { post: { show: true, content } }));
  await all(posts, (n) => publisher.publish("live", { [`old-${n}`]: { show: true, content } }));
  await all(edits, (n) =>
    publisher.publish("live", {
      [`old-${n % Math.max(among, 1)}`]: { show: true, content: `${content}${round}.${n}` },
    }),
  );
}
