import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Ring } from "../src/ring.ts";
import { test } from "./support/test.ts";

type Step =
  | { readonly type: "push"; readonly count: number; readonly weight: number }
  | { readonly type: "shift"; readonly count: number }
  | { readonly type: "shiftMany"; readonly count: number }
  | { readonly type: "removeAt"; readonly index: number }
  | { readonly type: "replaceAt"; readonly index: number; readonly weight: number }
  | { readonly type: "clear" };

const count = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 40 }) }, fc.constant(1_500));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("push" as const), count, weight: fc.nat({ max: 9 }) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("shift" as const), count }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("shiftMany" as const), count: fc.oneof(fc.constant(0), count) }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("removeAt" as const), index: fc.nat(60) }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("replaceAt" as const), index: fc.nat(60), weight: fc.nat(20) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "clear" as const }) },
);

function items(ring: Ring<number>): (number | undefined)[] {
  return Array.from({ length: ring.size }, (_, index) => ring.at(index));
}

test("a ring does what an array does, at any interleaving", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
      const ring = new Ring<number>();
      let model: number[] = [];
      const weights: number[] = [];
      let next = 0;
      for (const step of steps) {
        switch (step.type) {
          case "push":
            for (let i = 0; i < step.count; i++) {
              weights.push((step.weight * i) % 11);
              ring.push(next, weights[next]);
              model.push(next++);
            }
            break;
          case "shift":
            for (let i = 0; i < step.count; i++) assertEquals(ring.shift(), model.shift());
            break;
          case "shiftMany": {
            const count = Math.min(step.count, model.length);
            assertEquals(ring.shiftMany(count), model.splice(0, count));
            break;
          }
          case "removeAt":
            if (step.index >= model.length) break;
            ring.removeAt(step.index);
            model.splice(step.index, 1);
            break;
          case "replaceAt":
            if (step.index >= model.length) break;
            assertEquals(ring.weightAt(step.index), weights[model[step.index]!]);
            weights.push(step.weight);
            ring.replaceAt(step.index, next, step.weight);
            model[step.index] = next++;
            break;
          case "clear":
            ring.clear();
            model = [];
        }
        assertEquals([ring.size, ring.at(model.length), items(ring)], [model.length, undefined, model]);
        assertEquals(ring.weight, model.reduce((sum, item) => sum + weights[item]!, 0));
      }
    }),
    { numRuns: 300 },
  );
});

test("an empty ring gives nothing, again and again", () => {
  const ring = new Ring<number>();
  assertEquals([ring.shift(), ring.shift(), ring.size, ring.at(0)], [undefined, undefined, 0, undefined]);
  assertEquals([ring.shiftMany(0), ring.size, ring.weight], [[], 0, 0]);
});

test("what is given no weight weighs nothing", () => {
  const ring = new Ring<string>();
  ring.push("a", 5);
  ring.push("b");
  assertEquals([ring.weight, ring.shift(), ring.weight, ring.shift()], [5, "a", 0, "b"]);
});

test("many that are taken at once come in order across the seam", () => {
  const ring = new Ring<number>();
  for (let i = 0; i < 12; i++) ring.push(i, i);
  assertEquals(ring.shiftMany(10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (let i = 12; i < 24; i++) ring.push(i, i);
  assertEquals([ring.shiftMany(13), ring.size, ring.weight], [Array.from({ length: 13 }, (_, i) => 10 + i), 1, 23]);
});

/** Runs `body`; the lengths of the arrays that it made by number, twice as many as rings: items and their weights. */
function arraysMade(body: () => void): number[] {
  const real = globalThis.Array;
  const lengths: number[] = [];
  globalThis.Array = new Proxy(real, {
    construct(target, args, newTarget): object {
      if (typeof args[0] === "number") lengths.push(args[0]);
      return Reflect.construct(target, args, newTarget);
    },
    // Bun leaves out the `new` of the sources.
    apply(target, self, args): unknown {
      if (typeof args[0] === "number") lengths.push(args[0]);
      return Reflect.apply(target, self, args);
    },
  });
  try {
    body();
  } finally {
    globalThis.Array = real;
  }
  return lengths;
}

const TAKINGS: Readonly<Record<string, (ring: Ring<number>) => void>> = {
  "one by one": (ring) => {
    while (ring.shift() !== undefined);
  },
  "at once": (ring) => {
    while (ring.shiftMany(ring.size).length > 0);
  },
};

for (const [how, takeAll] of Object.entries(TAKINGS)) {
  const burst = (ring: Ring<number>, size: number) => {
    for (let i = 0; i < size; i++) ring.push(i);
    takeAll(ring);
  };
  /** The capacities that it came to have. */
  const capacities = (body: () => void) =>
    arraysMade(body).filter((length) => length >= 16 && Number.isInteger(Math.log2(length)));

  test(`bursts of the same size, taken ${how}, make the memory once`, () => {
    const ring = new Ring<number>();
    burst(ring, 5_000);
    assertEquals(
      capacities(() => {
        for (let i = 0; i < 10; i++) burst(ring, 5_000);
      }),
      [],
    );
  });

  test(`a few small bursts among large ones, taken ${how}, change nothing`, () => {
    const ring = new Ring<number>();
    burst(ring, 5_000);
    assertEquals(
      capacities(() => {
        for (let i = 0; i < 50; i++) burst(ring, i % 5 === 0 ? 5_000 : 10);
      }),
      [],
    );
  });

  test(`a burst, taken ${how}, does not hold its memory for ever, and a small ring keeps what it has`, () => {
    const ring = new Ring<number>();
    burst(ring, 5_000);
    const shrunk = capacities(() => {
      for (let i = 0; i < 200; i++) burst(ring, 10);
    });
    assertEquals([...new Set(shrunk)], [4_096, 2_048, 1_024]);
  });
}

test("a ring that is cleared has its first size again", () => {
  const ring = new Ring<number>();
  for (let i = 0; i < 5_000; i++) ring.push(i, 1);
  assertEquals(arraysMade(() => ring.clear()), [16, 16]);
  assertEquals([ring.size, ring.weight, ring.shift()], [0, 0, undefined]);
});

test("a ring that has grown keeps the order across its seam", () => {
  const ring = new Ring<number>();
  for (let i = 0; i < 10; i++) ring.push(i);
  for (let i = 0; i < 10; i++) ring.shift();
  for (let i = 0; i < 17; i++) ring.push(i);
  assertEquals(items(ring), Array.from({ length: 17 }, (_, i) => i));
});
