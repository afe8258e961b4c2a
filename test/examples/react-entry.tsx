import { hydrateRoot } from "react-dom/client";
import { LiveCoverage } from "../../examples/react.tsx";

declare const html: string;

hydrateRoot(document.getElementById("root")!, <LiveCoverage html={html} />);
