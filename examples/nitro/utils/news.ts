import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";

const bus = memoryBus();
export const log = memoryLog();
export const hub = createHub({ log, bus });
export const publisher = createPublisher({ log, bus });
export const posts: string[] = []; // your own content, wherever you keep it
