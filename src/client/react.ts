/** A live page in React. The posts are the client's: React sets their first HTML, and never touches them again. */
import { useEffect, useRef, useState } from "react";
import { type ConnectOptions, connect } from "./connect.ts";
import type { LiveState } from "./publisher.ts";

export interface LivePageOptions extends Omit<ConnectOptions, "target" | "onState" | "channelId"> {
  /** The list of posts as `livePosts()` renders it on the server, with its channel id and its cursor. */
  readonly html: string;
}

export interface LivePageView {
  /** For the element that holds the posts, which may be any that can hold a `<div>`: `<div {...props} />`. */
  readonly props: {
    readonly ref: (element: HTMLElement | null) => void;
    readonly dangerouslySetInnerHTML: { readonly __html: string };
    readonly suppressHydrationWarning: true;
  };
  /** How the page stands to its server; `"connecting"` on the server itself. */
  readonly state: LiveState;
}

/**
 * Shows `html` and keeps it live while the component is there.
 *
 * Another `html` of the same page changes nothing: the one on the screen is as new, or is about to be. That of
 * another page (by its `data-channel-id`) takes its place. A change of `url` or `pageUrl` connects anew; the
 * other options count when a connection is made, `onUpdate` always.
 *
 * Throws, in an effect, when `html` has no list of posts with a `data-channel-id`, or `pageUrl` is no URL.
 *
 * @example
 * function Live({ html }: { html: string }) {
 *   const { props, state } = useLivePage({ html });
 *   return <section aria-label={`Live coverage: ${state}`}><div {...props} /></section>;
 * }
 */
export function useLivePage(options: LivePageOptions): LivePageView {
  const { html, url, pageUrl } = options;
  // One object for one HTML: React 19.0 sets the HTML again for each new object, whatever is in it.
  const [given, setGiven] = useState({ __html: html });
  const [element, setElement] = useState<HTMLElement | null>(null);
  const [state, setState] = useState<LiveState>("connecting");
  if (channelOf(given.__html) !== channelOf(html)) setGiven({ __html: html });

  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });

  // `given` too: other HTML is another list in the same element.
  useEffect(() => {
    if (!element) return;
    const list = element.querySelector<HTMLElement>('[data-channel-id]:not([data-channel-id=""])');
    if (!list)
      throw new Error("[tidings] [client] useLivePage: html has no list of posts with a data-channel-id");
    let isHeld = true;
    const live = connect({
      ...latest.current,
      url,
      pageUrl,
      target: list,
      onUpdate: (update) => isHeld && latest.current.onUpdate?.(update),
      onState: (next) => isHeld && setState(next),
    });
    return () => {
      isHeld = false;
      live.close();
      setState("connecting");
    };
  }, [element, given, url, pageUrl]);

  return {
    props: { ref: setElement, dangerouslySetInnerHTML: given, suppressHydrationWarning: true },
    state,
  };
}

function channelOf(html: string): string | undefined {
  return /\sdata-channel-id\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)/.exec(html)?.[1];
}
