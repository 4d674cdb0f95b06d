import { assertEquals } from "@std/assert";
import { returned, yielded } from "../../src/stream/result.ts";
import { test } from "../support/test.ts";

const RESULTS: [what: string, result: IteratorResult<unknown>, literal: IteratorResult<unknown>][] = [
  ["an item", yielded(1), { value: 1, done: false }],
  ["the end", returned(undefined), { value: undefined, done: true }],
];

for (const [what, result, literal] of RESULTS) {
  test(`the result of ${what} is what a literal would have made`, () => {
    assertEquals(result, literal);
    assertEquals(Object.getPrototypeOf(result), Object.prototype);
    assertEquals(Object.getOwnPropertyDescriptors(result), Object.getOwnPropertyDescriptors(literal));
    assertEquals(Object.keys(result), Object.keys(literal));
  });
}
