/** What strangers do, and how each must end. */
import type { Attack } from "./attack.ts";
import { FRAMES } from "./attacks/frames.ts";
import { READERS } from "./attacks/readers.ts";
import { REQUESTS } from "./attacks/requests.ts";
import { SLOW } from "./attacks/slow.ts";

export const ATTACKS: readonly Attack[] = [...SLOW, ...REQUESTS, ...FRAMES, ...READERS];
