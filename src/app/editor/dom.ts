/** The few lines that stand in for a framework. */

type Attribute = string | number | boolean | undefined | ((event: never) => void);
type Child = Node | string | false | null | undefined;

/**
 * Makes an element. A function is a listener (`onclick`), a boolean sets or leaves out the attribute,
 * `value` is the property; children that are `false`, `null` or `undefined` are left out.
 *
 * @example
 * h("button", { type: "button", onclick: save, disabled: busy }, "Save");
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (name === "value") (element as HTMLInputElement).value = String(value ?? "");
    else if (value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | string => !!child || child === ""));
  return element;
}

/** A button that submits nothing. */
export function button(
  label: string,
  onclick: () => void,
  attributes: Readonly<Record<string, Attribute>> = {},
): HTMLButtonElement {
  return h("button", { type: "button", onclick, ...attributes }, label);
}

let ids = 0;

/** An id for a label or a description to point at. */
export function uniqueId(): string {
  ids += 1;
  return `t${ids}`;
}

/** The element of the page that `selector` names; the page is ours, so it is there. */
export function find<E extends HTMLElement = HTMLElement>(selector: string): E {
  return document.querySelector<E>(selector)!;
}

/** Says something once, to eyes and screen readers. */
export function announce(message: string): void {
  const status = find("#status");
  status.textContent = "";
  clearTimeout(cleared);
  // A screen reader says the same words again only if they were gone in between.
  requestAnimationFrame(() => {
    status.textContent = message;
    cleared = setTimeout(() => {
      status.textContent = "";
    }, 5000);
  });
}
let cleared: ReturnType<typeof setTimeout> | undefined;

/**
 * Asks in the place of `row` before doing what cannot be undone; Escape and `keep` leave all as it was.
 * A refused `act` shows its message there.
 */
export function confirmInPlace(
  row: HTMLElement,
  question: string,
  yes: string,
  act: () => Promise<void>,
  keep = "Keep",
): void {
  const back = document.activeElement as HTMLElement | null;
  const id = uniqueId();
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const cancel = button(keep, leave);
  const confirm = button(yes, async () => {
    confirm.disabled = true;
    try {
      await act();
      if (ask.isConnected) leave();
    } catch (failure) {
      showError(error, failure);
      confirm.disabled = false;
    }
  });
  confirm.className = "danger";
  const ask = h(
    "div",
    {
      class: "confirm",
      role: "group",
      "aria-labelledby": id,
      onkeydown: (event: KeyboardEvent) => {
        if (event.key === "Escape") leave();
      },
    },
    h("p", { id }, question),
    h("div", { class: "row" }, confirm, cancel),
    error,
  );
  function leave(): void {
    ask.replaceWith(row);
    back?.focus();
  }
  row.replaceWith(ask);
  cancel.focus();
}

/** Shows a failure where it happened; `null` takes it away. */
export function showError(place: HTMLElement, failure: unknown): void {
  place.hidden = failure === null;
  place.textContent = failure === null ? "" : failure instanceof Error ? failure.message : String(failure);
}
