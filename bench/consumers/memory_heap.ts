/**
 * What this process holds once everything is collected that can be. It must be started so that it may collect.
 *
 * @module
 */

import process from "node:process";

/** In bytes. */
export interface Held {
  /** What JavaScript holds: its own heap, and the buffers beside it. */
  readonly heap: number;
  /** The whole process, as the system counts it. */
  readonly rss: number;
}

/** Collections in a row: what a finalizer lets go of in one is freed in a later one. */
const COLLECTIONS = 4;

/** What is held after several collections, with turns of the event loop between them. */
export async function held(): Promise<Held> {
  const collect: unknown = Reflect.get(globalThis, "gc");
  if (typeof collect !== "function") throw new TypeError("This process cannot collect: start it with --expose-gc");
  for (let i = 0; i < COLLECTIONS; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    collect();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  // Bun's heap has the buffers in it.
  return { heap: "Bun" in globalThis ? heapUsed : heapUsed + external, rss };
}

/** The resident memory of this process, in bytes; nothing is collected. */
export function resident(): number {
  return process.memoryUsage.rss();
}

/** The difference of two looks, for each of `count`. */
export function each(before: Held, after: Held, count: number): Held {
  return { heap: (after.heap - before.heap) / count, rss: (after.rss - before.rss) / count };
}
