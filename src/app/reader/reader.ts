/** The reader page's own behaviour, on top of the client that keeps its posts up to date. */
import { connect, type LiveState } from "../../client/index.ts";
import { newPostsButton } from "./new-posts.ts";
import { localTimes } from "./times.ts";

const list = document.querySelector<HTMLElement>("#live-posts");
const times = localTimes();
times.show(document);

if (list) {
  const status = document.querySelector<HTMLElement>("[role=status]")!;
  const announce = (text: string): void => {
    status.textContent = text;
  };
  const newPosts = newPostsButton(
    document.querySelector<HTMLButtonElement>(".new-posts")!,
    document.querySelector<HTMLElement>(".bar")!,
    announce,
  );
  const showState = stateLabel(document.querySelector<HTMLElement>(".live-state")!, announce);

  connect({
    target: list,
    onUpdate({ added, changed }) {
      for (const post of [...added, ...changed]) times.show(post);
      newPosts.add(added);
      countInTitle(added.length);
    },
    onState: showState,
  });
}

/** The state of the connection beside the site's name; its loss and its return are announced. */
function stateLabel(label: HTMLElement, announce: (text: string) => void): (state: LiveState) => void {
  const names: Readonly<Record<LiveState, string>> = {
    connecting: "Connecting…",
    live: "Live",
    waiting: "Reconnecting…",
    offline: "Offline",
  };
  let wasLive = false;
  let lost = false;
  return (state) => {
    label.hidden = false;
    label.dataset.liveState = state;
    // Once live, an attempt to be so again is one thing with the wait before it.
    label.textContent = state === "connecting" && wasLive ? names.waiting : names[state];
    if (state === "live") {
      if (lost) announce("Live again.");
      wasLive = true;
      lost = false;
    } else if (wasLive && !lost && !document.hidden) {
      announce("Connection lost. Reconnecting.");
      lost = true;
    }
  };
}

const title = document.title;
let unseen = 0;

/** A tab in the background says how much has come: `(3) Cup final`. */
function countInTitle(posts: number): void {
  unseen = document.hidden ? unseen + posts : 0;
  document.title = unseen > 0 ? `(${unseen}) ${title}` : title;
}

document.addEventListener("visibilitychange", () => countInTitle(0));
