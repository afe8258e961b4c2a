import { describe, it } from "vitest";
import { memoryBus } from "../../src/buses/memory.ts";
import { busSuite } from "../../src/testing/bus-suite.ts";

busSuite({ describe, it }, { make: () => ({ value: memoryBus({ onError: () => {} }) }) });
