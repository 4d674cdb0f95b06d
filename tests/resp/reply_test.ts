import { assertEquals } from "@std/assert";
import { aggregate, attributed, type Reply } from "../../src/resp/reply.ts";
import { test } from "../support/test.ts";

const one: Reply = { type: "integer", value: 1 };
const two: Reply = { type: "integer", value: 2 };

test("a map takes its elements in pairs, any other aggregate one by one", () => {
  assertEquals(aggregate("map", [one, two, two, one]), { type: "map", value: [[one, two], [two, one]] });
  for (const type of ["array", "set", "push"] as const) {
    assertEquals(aggregate(type, [one, two]), { type, value: [one, two] });
  }
});

test("attributes are pairs, and belong to the reply without changing it", () => {
  assertEquals(attributed(one, [two, one]), { ...one, attributes: [[two, one]] });
  assertEquals(one, { type: "integer", value: 1 });
});
