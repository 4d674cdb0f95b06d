import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { backoffMs } from "../../src/connection/backoff.ts";
import { test } from "../support/test.ts";

const options = { initialDelayMs: 50, maxDelayMs: 5_000, factor: 2, jitter: 0.2 };

test("each wait is longer than the one before by the factor, up to the cap", () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100].map((attempt) => backoffMs(attempt, 0.5, options));
  assertEquals(waits, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
});

test("a wait after ten thousand attempts is the cap", () => {
  assertEquals(backoffMs(10_000, 0.5, options), 5_000);
  assertEquals(backoffMs(Number.MAX_SAFE_INTEGER, 0.5, options), 5_000);
});

test("chance adds or takes away the share that it may, also at the cap", () => {
  assertEquals([backoffMs(1, 0, options), backoffMs(1, 0.75, { ...options, jitter: 0.5 })], [40, 62.5]);
  assertEquals(backoffMs(20, 0, options), 4_000);
  assertEquals(backoffMs(1, 0, { ...options, jitter: 1 }), 0);
  assertEquals([0, 0.3, 0.999].map((dice) => backoffMs(1, dice, { ...options, jitter: 0 })), [50, 50, 50]);
});

test("a factor of 1 keeps the wait, and a first wait beyond the cap is cut", () => {
  assertEquals([1, 9, 10_000].map((attempt) => backoffMs(attempt, 0.5, { ...options, factor: 1 })), [50, 50, 50]);
  assertEquals(backoffMs(1, 0.5, { ...options, initialDelayMs: 9_000 }), 5_000);
});

test("whatever the options, a wait is a number within its bounds, and grows with the attempt", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 100_000 }),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.record({
      initialDelayMs: fc.integer({ min: 1, max: 10_000 }),
      maxDelayMs: fc.integer({ min: 1, max: 1_000_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    (attempt, dice, options) => {
      const wait = backoffMs(attempt, dice, options);
      const { initialDelayMs, maxDelayMs, jitter } = options;
      assert(wait >= Math.min(initialDelayMs, maxDelayMs) * (1 - jitter) - 1e-6, `${wait}`);
      assert(wait <= maxDelayMs * (1 + jitter) + 1e-6, `${wait}`);
      assert(backoffMs(attempt + 1, dice, options) >= wait - 1e-6);
    },
  ));
});
