/** Readers that are behind: each is told what it missed, when its socket has room for it. */
import { TidingsError } from "../errors.ts";
import { type Cursor, parseCursor } from "../protocol.ts";
import { type Asking, hasJustFailed } from "./asking.ts";
import { beginningOf, type Channel, heartbeatAt, isBehind, isFull, keepUp, type Member } from "./channel.ts";
import { write } from "./fan-out.ts";
import type { Frames } from "./frames.ts";
import type { Counts } from "./stats.ts";

export interface CatchUp {
  /** Tells a reader that lags what it missed, unless its socket is still full. */
  catchUp(member: Member): void;
  /** What came after a cursor: from what this process knows, else from the log. Readers that missed the same share it. */
  missed(channel: Channel, cursor: Cursor): Promise<Frames>;
  /** The log is away: the connection is not. With the reader's own cursor, which moves nobody. */
  beatLaggard(member: Member): void;
}

export interface CatchUpOptions {
  readonly asking: Asking;
  readonly counts: Counts;
  /** Sends what is due on the page. */
  readonly flush: (channel: Channel) => void;
  /** Lets the page follow the log. */
  readonly refresh: (channel: Channel) => void;
}

export function catchingUp({ asking, counts, flush, refresh }: CatchUpOptions): CatchUp {
  function catchUp(member: Member): void {
    const { channel, connection, cursor } = member;
    if (member.busy || member.gone || member.isAway || cursor === null || connection === null) return;
    if (cursor === channel.head) {
      keepUp(member);
      if (!member.isGreeted) write(member, heartbeatAt(cursor), counts);
      return;
    }
    if (isFull(connection) || hasJustFailed(channel)) return;
    member.busy = true;
    missed(channel, cursor).then(
      (frames) => tell(member, cursor, frames),
      () => {
        member.busy = false; // looked at again with the other laggards
      },
    );
  }

  function tell(member: Member, cursor: Cursor, frames: Frames): void {
    const { channel } = member;
    if (frames.isReset && member.transport.knowsNoReset && cursor !== beginningOf(frames.cursor)) {
      member.cursor = beginningOf(frames.cursor);
      member.busy = false;
      catchUp(member);
      return;
    }
    const moved = frames.cursor !== cursor;
    member.cursor = frames.cursor;
    // A connection may say that it has drained while it is being written to: until then it stays busy.
    if (!member.gone && !member.isAway && (moved || frames.isReset)) write(member, frames, counts);
    member.busy = false;
    if (member.gone || member.isAway) return;
    // Behind this process's head: go on. Ahead of it, or of another epoch: the channel has to follow first.
    flush(channel);
    if (frames.cursor === channel.head || (moved && isBehind(frames.cursor, channel))) catchUp(member);
    else refresh(channel);
  }

  function missed(channel: Channel, cursor: Cursor): Promise<Frames> {
    return channel.steps.get(cursor, channel.head, () => {
      if (hasJustFailed(channel)) {
        const why = "the log has failed a moment ago";
        return Promise.reject(new TidingsError("unavailable", why, { where: "hub" }));
      }
      counts.catchUps++;
      const answer = asking.since(channel, cursor);
      answer.catch((error: unknown) => asking.failed(channel, error, "catch up"));
      return answer;
    });
  }

  function beatLaggard(member: Member): void {
    const { cursor, connection, gone, isAway } = member;
    if (gone || isAway || cursor === null || !parseCursor(cursor) || isFull(connection!)) return;
    write(member, heartbeatAt(cursor), counts);
  }

  return { catchUp, missed, beatLaggard };
}
