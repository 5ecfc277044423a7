/** The machine's clock, which the two processes hand to whatever needs the time. */
import type { Clock } from './core/ports.ts';

// biome-ignore lint/plugin: the one place that reads the wall clock
export const wallClock: Clock = { now: () => Date.now() };
