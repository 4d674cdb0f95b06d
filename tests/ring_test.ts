import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Ring } from "../src/ring.ts";
import { test } from "./support/test.ts";

type Step =
  | { readonly type: "push"; readonly count: number }
  | { readonly type: "shift"; readonly count: number }
  | { readonly type: "removeAt"; readonly index: number }
  | { readonly type: "clear" };

const count = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 40 }) }, fc.constant(1_500));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("push" as const), count }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("shift" as const), count }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("removeAt" as const), index: fc.nat(60) }) },
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
      let next = 0;
      for (const step of steps) {
        switch (step.type) {
          case "push":
            for (let i = 0; i < step.count; i++) {
              ring.push(next);
              model.push(next++);
            }
            break;
          case "shift":
            for (let i = 0; i < step.count; i++) assertEquals(ring.shift(), model.shift());
            break;
          case "removeAt":
            if (step.index >= model.length) break;
            ring.removeAt(step.index);
            model.splice(step.index, 1);
            break;
          case "clear":
            ring.clear();
            model = [];
        }
        assertEquals([ring.size, ring.at(model.length), items(ring)], [model.length, undefined, model]);
      }
    }),
    { numRuns: 200 },
  );
});

test("an empty ring gives nothing, again and again", () => {
  const ring = new Ring<number>();
  assertEquals([ring.shift(), ring.shift(), ring.size, ring.at(0)], [undefined, undefined, 0, undefined]);
});

test("a ring that has grown keeps the order across its seam", () => {
  const ring = new Ring<number>();
  for (let i = 0; i < 10; i++) ring.push(i);
  for (let i = 0; i < 10; i++) ring.shift();
  for (let i = 0; i < 17; i++) ring.push(i);
  assertEquals(items(ring), Array.from({ length: 17 }, (_, i) => i));
});
