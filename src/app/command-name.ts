/** What a user types to run a command: installed, or from a checkout. */
export const COMMAND: string = import.meta.url.includes("/node_modules/") ? "tidings" : "npm run tidings --";
