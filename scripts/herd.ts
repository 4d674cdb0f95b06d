/**
 * Prints how 10,000 clients come back to a server that all of them lost in the same moment, for several jitters:
 * `deno run scripts/herd.ts`. Fake time, no network.
 *
 * @module
 */

import { stampede } from "../tests/support/herd.ts";

const CLIENTS = 10_000;
const BACKOFF = { initialDelayMs: 50, maxDelayMs: 5_000, factor: 2 };

console.log(`${CLIENTS} clients; the most attempts in any 10 ms and 100 ms; the most that are back in any 100 ms`);
console.log("down (s)  jitter   10 ms  100 ms    back   last (s)");
for (const downMs of [0, 300, 2_000, 10_000, 60_000]) {
  for (const jitter of [0, 0.2, 0.5, 1]) {
    const herd = stampede({ ...BACKOFF, jitter }, { clients: CLIENTS, downMs, seed: 1 });
    const cells = [herd.peakPer10Ms, herd.peakPer100Ms, herd.peakBack].map((cell) => String(cell).padStart(8));
    const last = (herd.lastMs / 1_000).toFixed(1).padStart(11);
    console.log(`${String(downMs / 1_000).padStart(8)}${String(jitter).padStart(8)}${cells.join("")}${last}`);
  }
}
