import { assertEquals } from "@std/assert";
import { KIND_NAMES, KINDS } from "../../src/protocol/kind.ts";
import { test } from "../support/test.ts";

test("every kind has a row under its own name", () => {
  assertEquals(Object.keys(KINDS), [...KIND_NAMES]);
  for (const kind of KIND_NAMES) assertEquals(KINDS[kind].kind, kind);
});

test("no two kinds share a verb or a label", () => {
  const words = KIND_NAMES.flatMap((kind) => {
    const { subscribe, unsubscribe, subscribed, unsubscribed, message } = KINDS[kind];
    return [subscribe, unsubscribe, subscribed, unsubscribed, message];
  });
  assertEquals(new Set(words).size, 15);
});

test("an acknowledgement is the verb in lower case", () => {
  for (const kind of KIND_NAMES) {
    const { subscribe, unsubscribe, subscribed, unsubscribed } = KINDS[kind];
    assertEquals([subscribed, unsubscribed], [subscribe.toLowerCase(), unsubscribe.toLowerCase()]);
  }
});

test("only a message of a pattern has a fourth element, and only shard channels count apart and can be revoked", () => {
  const facts = KIND_NAMES.map((kind) => {
    const { messageArity, count, revocable } = KINDS[kind];
    return [kind, messageArity, count, revocable];
  });
  assertEquals(facts, [
    ["channel", 3, "shared", false],
    ["pattern", 4, "shared", false],
    ["shard", 3, "shard", true],
  ]);
});
