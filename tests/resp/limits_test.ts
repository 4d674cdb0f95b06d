import { assertEquals, assertThrows } from "@std/assert";
import { type ReaderLimits, readerLimits } from "../../src/resp/limits.ts";
import { test } from "../support/test.ts";

const DEFAULTS: ReaderLimits = { bulkBytes: 536_870_912, elements: 1_048_576, depth: 128, lineBytes: 65_536 };

test("limits that are not given have their documented defaults", () => {
  assertEquals(readerLimits(), DEFAULTS);
  assertEquals(readerLimits({ depth: 0, elements: 7 }), { ...DEFAULTS, depth: 0, elements: 7 });
});

for (const name of ["bulkBytes", "elements", "depth", "lineBytes"] as const) {
  for (const value of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
    test(`${name}: ${value} is refused by name`, () => {
      assertThrows(() => readerLimits({ [name]: value }), RangeError, `Limit ${name} must be a whole number`);
    });
  }
}
