import fc from "fast-check";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { installBrowsers } from "../../faults/model/browser.ts";
import { type Clock, installClock } from "../../faults/model/clock.ts";
import { type Answer, Line, type OpenEvents } from "../../faults/model/network.ts";
import type { OpenPage, TransportName } from "../../faults/model/reader.ts";
import { random } from "../../faults/random.ts";
import {
  atCursor,
  bundle,
  html,
  inState,
  openTab,
  render,
  type Site,
  shown,
  startSite,
  stopClock,
} from "../client/site.ts";
import { launchBrowser } from "../support/browser.ts";
import { fuzz, texts } from "./fuzz.ts";

// What a browser is sent by a server that is not right, a proxy, or a service: the client (src/client) in a DOM, in virtual
// time. Whatever comes, it throws nothing, asks no more often than it may, and is the page that the server has, once that
// says so.

// --- what strangers send ------------------------------------------------------------------------------------

const EPOCHS = ["e", "f", "__proto__", "constructor"];
const cursors = fc.oneof(
  fc.tuple(fc.constantFrom(...EPOCHS), fc.nat(6)).map(([epoch, seq]) => `${epoch}.${seq}`),
  fc.constantFrom("e.9007199254740991", "e.9007199254740993", "e.-1", "e.01", "e.", ".1", ""),
  texts,
);
const ids = fc.oneof(
  fc.constantFrom("a", "b", "7", "__proto__", "constructor", "toString", '"]', "live-posts", "<b>", ""),
  texts,
);
/** What has no number is a failed change, which is reported, on purpose, and asked for anew. */
const values = fc
  .oneof(fc.jsonValue(), cursors)
  .filter((value) => !/"(?:toString|valueOf)"/.test(JSON.stringify(value)));
const numbers = fc.oneof(
  fc.nat(9),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  values,
);
const contents = fc.oneof(
  texts,
  ids.map((id) => `<article class="live-post" data-post-id="${id.replaceAll('"', "&quot;")}">x</article>`),
  values,
);
const renders = fc.oneof(
  { weight: 4, arbitrary: rows(ids, fc.record({ show: fc.boolean(), content: contents, at: numbers })) },
  {
    weight: 1,
    arbitrary: rows(ids, fc.record({ show: values, content: contents, at: numbers }, { requiredKeys: [] })),
  },
  { weight: 1, arbitrary: values },
);
const frames = fc
  .record(
    {
      renders,
      removals: fc.oneof(fc.array(fc.oneof(ids, values), { maxLength: 4 }), values),
      cursor: fc.oneof({ weight: 4, arbitrary: cursors }, { weight: 1, arbitrary: values }),
      reset: fc.oneof(fc.boolean(), values),
      retry: fc.oneof(fc.array(numbers, { maxLength: 3 }), values),
    },
    { requiredKeys: ["renders", "removals"] },
  )
  .map((frame) => JSON.stringify(frame));
const messages = fc.oneof(
  { weight: 6, arbitrary: frames },
  { weight: 2, arbitrary: fc.tuple(frames, fc.nat(200)).map(([text, end]) => text.slice(0, end)) },
  { weight: 1, arbitrary: texts },
  { weight: 1, arbitrary: fc.json() },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...["retry", "at", "cursor"].map((key) => `{"renders":{},"removals":[],"${key}":[1e999,1e999]}`),
      '{"renders":{},"removals":[],"retry":[1e300,1e300]}',
      '{"renders":{},"removals":[],"retry":[{"valueOf":1,"toString":1},1]}',
      '{"renders":{},"removals":[],"cursor":{"valueOf":1,"toString":1}}',
      '{"renders":{"__proto__":{"show":true,"content":"x","at":1}},"removals":["__proto__"],"cursor":"e.3"}',
    ),
  },
);
const pages = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(cursors, fc.array(fc.tuple(ids, fc.oneof(numbers.map(String), texts), texts), { maxLength: 5 }))
      .map(([cursor, posts]) => pageOf(cursor, posts)),
  },
  { weight: 1, arbitrary: texts },
  { weight: 1, arbitrary: fc.constantFrom(204, 302, 429, 500, 503) },
);

type Move =
  | { readonly send: string }
  | { readonly page: string | number }
  | { readonly wait: number }
  | { readonly lose: true };

const moves: fc.Arbitrary<Move> = fc.oneof(
  { weight: 6, arbitrary: messages.map((send) => ({ send })) },
  { weight: 2, arbitrary: pages.map((page) => ({ page })) },
  { weight: 3, arbitrary: fc.constantFrom(10, 700, 3_000, 20_000).map((wait) => ({ wait })) },
  { weight: 1, arbitrary: fc.constant({ lose: true as const }) },
);

/** As JSON has them: `__proto__` is a key like any other. */
function rows<T>(keys: fc.Arbitrary<string>, each: fc.Arbitrary<T>): fc.Arbitrary<object> {
  return fc
    .array(fc.tuple(keys, each), { maxLength: 4 })
    .map((all) =>
      JSON.parse(`{${all.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)}}`),
    );
}

function pageOf(cursor: string, posts: readonly (readonly [id: string, at: string, text: string])[]): string {
  const quoted = (text: string) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  const list = posts.map(
    ([id, at, text]) =>
      `<div class="live-post-wrapper" data-at="${quoted(at)}"><article class="live-post" data-post-id="${quoted(id)}">${text}</article></div>`,
  );
  return `<!doctype html><html><body><div id="live-posts" data-channel-id="news" data-cursor="${quoted(cursor)}">${list.join("")}</div></body></html>`;
}

// --- a server that is not right, and then is ------------------------------------------------------------------

/** Its epoch is a name that nobody guesses. */
const RIGHT = "rightly-so";
const RIGHT_PAGE = pageOf(`${RIGHT}.5`, [
  ["b", "2", "⟦2⟧"],
  ["a", "1", "⟦1⟧"],
]);
const NEXT = `{"renders":{"c":{"show":true,"content":"⟦3⟧","at":3}},"removals":["a"],"cursor":"${RIGHT}.6"}`;
/** How often a reader may ask: with each thing that happens, and by itself as its back-off and its pauses say. */
const ASKS_PER_SECOND = 6;
const ASKS_PER_MOVE = 8;

interface Stranger {
  readonly asked: () => number;
  /** To whoever listens now; a poll that waits is answered. */
  send(text: string): void;
  lose(): void;
  page: string | number;
  /** From now on what PROTOCOL.md says. */
  isRight: boolean;
  hasNext: boolean;
}

function strangers(clock: Clock): Stranger & Parameters<typeof installBrowsers>[0] {
  let asked = 0;
  const held = new Set<OpenEvents>();
  const waiting = new Set<(answer: Answer | undefined) => void>();
  const json = (text: string): Answer => ({ status: 200, headers: {}, text });

  /** What a reader at this cursor is to be told. */
  function rightly(cursor: string): string | undefined {
    const head = `${RIGHT}.${stranger.hasNext ? 6 : 5}`;
    if (cursor === head) return undefined;
    // Live only, from where the page is now.
    if (cursor === "") return `{"renders":{},"removals":[],"cursor":"${head}"}`;
    if (cursor === `${RIGHT}.5`) return NEXT;
    return `{"renders":{},"removals":[],"cursor":"${head}","reset":true}`;
  }

  function open(line: Line, kind: string, path: string, events: OpenEvents) {
    asked++;
    setTimeout(() => {
      if (line.blocked.has(kind)) return events.lost();
      held.add(events);
      events.opened();
      const first = stranger.isRight && rightly(cursorIn(path));
      if (first) events.received(first);
    }, 5);
    return { close: () => void held.delete(events) };
  }

  const stranger = {
    asked: () => asked,
    page: 500 as string | number,
    isRight: false,
    hasNext: false,
    send(text: string) {
      for (const events of [...held]) events.received(text);
      for (const answer of [...waiting]) answer(json(text));
    },
    lose() {
      for (const events of [...held]) events.lost();
      for (const answer of [...waiting]) answer(undefined);
      held.clear();
    },
    socket: (line: Line, path: string, events: OpenEvents) => open(line, "ws", path, events),
    stream: (line: Line, path: string, _last: string | undefined, events: OpenEvents) =>
      open(line, "sse", path, events),
    async get(_line: Line, path: string, signal?: AbortSignal): Promise<Answer> {
      asked++;
      await clock.sleep(5);
      const failed = new Error("the connection failed");
      if (path.startsWith("/live/")) {
        const { page } = stranger;
        return typeof page === "number" ? { status: page, headers: {}, text: "" } : { ...json(page) };
      }
      const cursor = cursorIn(path);
      const first = stranger.isRight ? rightly(cursor) : undefined;
      if (first) return json(first);
      return new Promise((resolve, reject) => {
        const answer = (given: Answer | undefined) => {
          waiting.delete(answer);
          if (given) resolve(given);
          else reject(failed);
        };
        waiting.add(answer);
        signal?.addEventListener("abort", () => answer(undefined));
        setTimeout(
          () => answer(json(`{"renders":{},"removals":[],"cursor":${JSON.stringify(cursor)}}`)),
          20_000,
        );
      });
    },
  };
  return stranger;
}

const cursorIn = (path: string) => new URL(path, "http://x").searchParams.get("cursor") ?? "";

const shownIn = (page: OpenPage) => page.posts.map(({ id, mark }) => `${id} ${mark}`);

describe("what a browser is sent", () => {
  const tales = fc.record({
    transport: fc.constantFrom<TransportName[]>("websocket", "sse", "polling"),
    seed: fc.nat(),
    moves: fc.array(moves, { minLength: 1, maxLength: 12 }),
  });
  fuzz(
    "throws nothing, makes it ask no more often, and is over when the server is right again",
    tales,
    async ({ transport, seed, moves }) => {
      const clock = installClock(random(seed).next, () => {});
      const stranger = strangers(clock);
      const browsers = installBrowsers(stranger);
      try {
        const line = new Line("r0", 0);
        const html = pageOf("e.2", [["a", "1", "x"]]);
        const page = browsers.open({ line, html, transport, changed() {} });
        await clock.advance(3_000);
        let may = stranger.asked();
        for (const move of moves) {
          const began = clock.now();
          if ("send" in move) stranger.send(move.send);
          else if ("page" in move) stranger.page = move.page;
          else if ("lose" in move) stranger.lose();
          await clock.advance("wait" in move ? move.wait : 10);
          may += ASKS_PER_MOVE + ((clock.now() - began) / 1_000) * ASKS_PER_SECOND;
          expect(stranger.asked()).toBeLessThanOrEqual(may);
        }
        stranger.isRight = true;
        stranger.page = RIGHT_PAGE;
        stranger.lose();
        await until(clock, () => page.cursor === `${RIGHT}.5`);
        expect(shownIn(page)).toEqual(["b ⟦2⟧", "a ⟦1⟧"]);
        stranger.hasNext = true;
        stranger.send(NEXT);
        await until(clock, () => page.cursor === `${RIGHT}.6`);
        expect(shownIn(page)).toEqual(["c ⟦3⟧", "b ⟦2⟧"]);
        page.close();
      } finally {
        browsers.uninstall();
        clock.uninstall();
      }
    },
  );
});

/** A page trusts what its own server sends: the others would run. */
const harmless = messages.filter((text) => !/onerror|onclick|script|iframe/i.test(text));

describe("what Chromium is sent", () => {
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    [browser, site] = await Promise.all([launchBrowser(), bundle().then(startSite)]);
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  fuzz(
    "throws nothing, and is over when the server is right again",
    fc.array(harmless, { minLength: 1, maxLength: 40 }),
    async (texts) => {
      const { page, errors, close } = await openTab(browser);
      try {
        site.page = () => html([{ id: "a", at: 1 }], { cursor: "e.2" });
        await page.clock.install();
        await page.goto(`http://${site.host}/`);
        const peer = await site.peer();
        await inState(page, "live");
        await stopClock(page);
        for (const text of texts) peer.send(text);
        peer.socket.close();
        site.page = () => html([{ id: "b", at: 1 }], { cursor: `${RIGHT}.5` });
        await inState(page, "waiting");
        // It may have been told to come back in an hour.
        const later = () => page.clock.fastForward(20_000).then(() => site.waiting);
        await expect.poll(later, { timeout: 20_000 }).toBe(1);
        const next = await site.peer();
        next.send({ cursor: `${RIGHT}.5`, reset: true });
        await inState(page, "connecting");
        await page.clock.fastForward(2_000);
        await atCursor(page, `${RIGHT}.5`);
        next.send({ renders: { c: render("c", 2) }, cursor: `${RIGHT}.6` });
        await atCursor(page, `${RIGHT}.6`);
        expect(await shown(page)).toEqual(["c", "b"]);
        expect(errors).toEqual([]);
      } finally {
        await close();
      }
    },
    0.01,
  );
});

describe("what a hosted service brings", () => {
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    [browser, site] = await Promise.all([launchBrowser(), bundle("hosted-global.ts").then(startSite)]);
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  const JOINED = '{"event":"pusher_internal:subscription_succeeded","channel":"page"}';
  const brought = fc.oneof(
    {
      weight: 4,
      arbitrary: harmless.map((data) => JSON.stringify({ event: "update", channel: "page", data })),
    },
    {
      weight: 1,
      arbitrary: values.map((data) => JSON.stringify({ event: "update", channel: "page", data })),
    },
    { weight: 1, arbitrary: harmless },
    { weight: 1, arbitrary: fc.constant(JOINED) },
  );
  fuzz(
    "throws nothing, and is over when service and server are right again",
    fc.tuple(fc.array(brought, { minLength: 1, maxLength: 30 }), fc.array(harmless, { maxLength: 4 })),
    async ([fromService, fromServer]) => {
      const { page, errors, close } = await openTab(browser);
      try {
        const script = `new PusherWebsocketPublisher("http://${site.host}", { service: "ws://${site.host}", key: "k" }).start()`;
        site.page = () => html([{ id: "a", at: 1 }], { cursor: "e.2", script });
        let isRight = false;
        await page.route(
          (url) => url.pathname.startsWith("/updates/"),
          (route) => {
            const cursor = new URL(route.request().url()).searchParams.get("cursor");
            const heartbeat = `{"renders":{},"removals":[],"cursor":"${RIGHT}.5"`;
            const right = cursor === `${RIGHT}.5` ? `${heartbeat}}` : `${heartbeat},"reset":true}`;
            return route.fulfill({ body: isRight ? right : (fromServer.shift() ?? "") });
          },
        );
        await page.clock.install();
        await page.goto(`http://${site.host}/`);
        const peer = await site.peer();
        peer.send(JOINED);
        await inState(page, "live");
        await stopClock(page);
        for (const text of fromService) peer.send(text);
        // Some of it makes the page ask the server.
        await page.clock.fastForward(10_000);
        site.page = () => html([{ id: "b", at: 1 }], { cursor: `${RIGHT}.5` });
        isRight = true;
        for (const { socket } of [peer, ...(site.waiting ? [await site.peer()] : [])]) socket.close();
        await inState(page, "waiting");
        const later = () => page.clock.fastForward(20_000).then(() => site.waiting);
        await expect.poll(later, { timeout: 20_000 }).toBe(1);
        const next = await site.peer();
        next.send(JOINED);
        const isAt = () =>
          page.clock.fastForward(3_000).then(() => page.locator("#live-posts").getAttribute("data-cursor"));
        await expect.poll(isAt, { timeout: 20_000 }).toBe(`${RIGHT}.5`);
        const data = JSON.stringify({ renders: { c: render("c", 2) }, removals: [], cursor: `${RIGHT}.6` });
        next.send(JSON.stringify({ event: "update", channel: "page", data }));
        await atCursor(page, `${RIGHT}.6`);
        expect(await shown(page)).toEqual(["c", "b"]);
        expect(errors).toEqual([]);
      } finally {
        await close();
      }
    },
    0.01,
  );
});

/** The longest window of a retry, back-off, and the silence of a connection that is none, are over by then. */
const OVER_MS = 2 * 3_600_000;

async function until(clock: Clock, holds: () => boolean): Promise<void> {
  const began = clock.now();
  while (!holds()) {
    expect(clock.now() - began).toBeLessThan(OVER_MS);
    await clock.advance(1_000);
  }
}
