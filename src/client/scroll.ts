/**
 * Makes a function that runs a change to `list` without moving what the reader looks at: when they have
 * scrolled past the top of the list, its first visible child stays where it is on the screen.
 */
export function scrollKeeper(list: HTMLElement): (change: () => void) => void {
  const scroller = scrollerOf(list);
  // Where the last search ended: the next one starts there, so that it takes a few steps on a page of thousands.
  let hint: Element | null = null;
  // Browsers round the scroll position; what they took off is made up for next time, or it would add up.
  let rounded = 0;
  let position = -1;

  return (change) => {
    const edge = Math.max(0, scroller.getBoundingClientRect().top);
    const scrolled = scroller === list ? list.scrollTop : edge - list.getBoundingClientRect().top;
    if (scrolled <= 0) return change();

    const visible: [Element, number][] = [];
    const drift = scroller.scrollTop === position ? rounded : 0;
    let child: Element | null = hint?.parentNode === list ? hint : list.firstElementChild;
    for (let above = child; above; above = above.previousElementSibling) {
      if (isShown(above)) {
        child = above;
        if (above.getBoundingClientRect().bottom <= edge) break;
      }
    }
    for (; child; child = child.nextElementSibling) {
      const { top, bottom } = child.getBoundingClientRect();
      if (top >= edge + scroller.clientHeight) break;
      if (bottom > edge && isShown(child)) visible.push([child, top - drift]);
    }
    hint = visible[0]?.[0] ?? null;

    // The browser's own scroll anchoring would add to ours; it is back when images above load late.
    const { style } = scroller;
    const anchoring = style.overflowAnchor;
    style.overflowAnchor = "none";
    try {
      change();
      const kept = visible.find(([element]) => element.isConnected && isShown(element));
      if (kept) {
        const moved = () => kept[0].getBoundingClientRect().top - kept[1];
        if (moved()) scroller.scrollBy({ top: moved(), behavior: "instant" });
        const rest = moved();
        rounded = Math.abs(rest) < 1 ? rest : 0;
        position = scroller.scrollTop;
      }
    } finally {
      style.overflowAnchor = anchoring;
    }
  };
}

function isShown(element: Element): boolean {
  return element.getClientRects().length > 0;
}

function scrollerOf(list: HTMLElement): HTMLElement {
  const { body, documentElement } = document;
  for (
    let box = list;
    box !== body && box !== documentElement && box.parentElement;
    box = box.parentElement
  ) {
    if (/auto|scroll/.test(getComputedStyle(box).overflowY)) return box;
  }
  return documentElement;
}
