import { assert, assertEquals } from "@std/assert";
import { resolveOptions } from "../../src/client/options.ts";
import type { BackoffOptions } from "../../src/connection/backoff.ts";
import { stampede } from "../support/herd.ts";
import { test } from "../support/test.ts";

const CLIENTS = 10_000;
const DEFAULTS = resolveOptions().reconnect as BackoffOptions;
const IN_STEP = { ...DEFAULTS, jitter: 0 };
/** If all of them were spread evenly over the longest wait, so many would be back in 100 ms. */
const EVEN = CLIENTS / (DEFAULTS.maxDelayMs / 100);

/** After an outage of so long, at most so many of 10,000 clients may be back in any 100 ms. */
const OUTAGES: readonly (readonly [downMs: number, most: number])[] = [
  [2_000, CLIENTS / 5],
  [10_000, CLIENTS / 15],
  [60_000, 1.5 * EVEN],
];

for (const [downMs, most] of OUTAGES) {
  test(`10,000 clients come back from an outage of ${downMs / 1_000} s spread out, not as one`, () => {
    const outage = { clients: CLIENTS, downMs, seed: 1 };
    const herd = stampede(DEFAULTS, outage);
    assert(herd.peakBack <= most, `${herd.peakBack} in 100 ms`);
    assert(herd.lastMs <= DEFAULTS.maxDelayMs * (1 + DEFAULTS.jitter), `The last after ${herd.lastMs} ms`);
    assertEquals(stampede(IN_STEP, outage).peakBack, CLIENTS);
  });
}

test("the simulation counts every attempt, and the last of each client as its return", () => {
  const options = { initialDelayMs: 100, maxDelayMs: 400, factor: 2, jitter: 0 };
  // At 100, 300 and 700 ms.
  const herd = stampede(options, { clients: 3, downMs: 300, seed: 1 });
  assertEquals(herd, { peakPer10Ms: 3, peakPer100Ms: 3, peakBack: 3, lastMs: 0 });
  assertEquals(stampede(options, { clients: 3, downMs: 301, seed: 1 }).lastMs, 399);
  assertEquals(stampede({ ...options, factor: 1 }, { clients: 3, downMs: 300, seed: 1 }).peakPer100Ms, 6);
});
