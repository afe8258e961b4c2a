// Live posts in a React page. `html` is what livePosts() of "tidings/templates" renders on the server.
import type { ReactElement } from "react";
import { useLivePage } from "tidings/client/react";

export function LiveCoverage({ html }: { html: string }): ReactElement {
  const { props, state } = useLivePage({ html });
  return (
    <section aria-label="Live coverage">
      <p>{state === "live" ? "Live" : "Connecting…"}</p>
      <div {...props} />
    </section>
  );
}
