/** An application that the tests of the hook drive, in the browser and on its server. */
import { type ReactElement, StrictMode, useEffect, useState } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { useLivePage } from "../../src/client/react.ts";

export interface AppOptions {
  readonly html: string;
  readonly label?: string;
  /** Whether the component is there, and whether its list is. */
  readonly isShown?: boolean;
  readonly isOpen?: boolean;
  readonly url?: string;
}

/** What the tests use in the tab. */
export interface AppWindow extends Window {
  options: AppOptions;
  change(changes: Partial<AppOptions>): void;
  /** By label at that time: what `onUpdate` told. */
  told: string[];
  /** What React was given to set, in each rendering that it showed. */
  given: Set<object>;
  root: Root;
}

function Live({ html, label, isOpen = true, url }: AppOptions): ReactElement {
  const { props, state } = useLivePage({
    html,
    url,
    onUpdate: ({ added }) => (window as unknown as AppWindow).told.push(`${label}: ${added.length}`),
  });
  useEffect(() => {
    (window as unknown as AppWindow).given.add(props.dangerouslySetInnerHTML);
  });
  return (
    <section>
      <h2>{label}</h2>
      <p id="state">{state}</p>
      {isOpen && <div className={label} {...props} />}
    </section>
  );
}

export function App({ initial }: { initial: AppOptions }): ReactElement {
  const [options, setOptions] = useState(initial);
  if (typeof window !== "undefined") {
    (window as unknown as AppWindow).change = (changes) =>
      setOptions((before) => ({ ...before, ...changes }));
  }
  return <StrictMode>{options.isShown !== false && <Live {...options} />}</StrictMode>;
}

if (typeof document !== "undefined") {
  const here = window as unknown as AppWindow;
  here.told = [];
  here.given = new Set();
  const container = document.getElementById("root")!;
  const app = <App initial={here.options} />;
  if (container.firstChild) here.root = hydrateRoot(container, app);
  else {
    here.root = createRoot(container);
    here.root.render(app);
  }
}
