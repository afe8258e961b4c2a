/** What came above the part of the page that its reader looks at, and the button that leads there. */
export interface NewPosts {
  /** Takes the posts that an update added: marks those in sight, counts those above it. */
  add(posts: readonly HTMLElement[]): void;
}

/**
 * @param button Hidden while nothing is waiting. Pressed, it leads to the newest of the posts that wait.
 * @param edge What covers the top of the window: posts under it are out of sight.
 * @param announce Says something to those who don't see the page.
 */
export function newPostsButton(
  button: HTMLButtonElement,
  edge: HTMLElement,
  announce: (text: string) => void,
): NewPosts {
  // Their wrappers: an edit replaces the post itself.
  const waiting = new Set<HTMLElement>();
  const show = (): void => {
    // A post may have been taken away, or hidden, before it was looked at.
    for (const wrapper of waiting) if (wrapper.getClientRects().length === 0) leave(wrapper);
    button.hidden = waiting.size === 0;
    button.textContent = count(waiting.size);
  };
  const leave = (wrapper: HTMLElement): void => {
    waiting.delete(wrapper);
    seen.unobserve(wrapper);
  };
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) leave(target as HTMLElement);
      show();
    },
    { rootMargin: `-${edge.offsetHeight}px 0px 0px` },
  );

  button.addEventListener("click", () => {
    const top = (wrapper: HTMLElement) => wrapper.getBoundingClientRect().top;
    const [newest] = [...waiting].sort((a, b) => top(a) - top(b));
    for (const wrapper of waiting) leave(wrapper);
    show();
    if (newest) goTo(newest);
  });

  return {
    add(posts) {
      for (const post of posts) {
        const wrapper = post.parentElement!;
        if (wrapper.getBoundingClientRect().bottom <= edge.offsetHeight) {
          waiting.add(wrapper);
          seen.observe(wrapper);
        } else {
          wrapper.classList.add("is-new");
        }
      }
      show();
      if (posts.length > 0) announce(`${count(posts.length)}.`);
    },
  };
}

function count(posts: number): string {
  return posts === 1 ? "1 new post" : `${posts} new posts`;
}

/** The focus goes along, so that the keyboard and a screen reader go on from there. */
function goTo(element: HTMLElement): void {
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  // On the wrapper: an attribute of the post itself would make it differ from what the server has.
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
  element.scrollIntoView({ behavior: isStill ? "instant" : "smooth", block: "start" });
}
