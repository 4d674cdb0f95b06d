import { assertEquals } from "@std/assert";
import { type Message, PlainMessage } from "../src/message.ts";
import { test } from "./support/test.ts";

test("a message is what a literal would have made", () => {
  const literal: Message<number> = {
    kind: "pattern",
    channel: "news.uk",
    pattern: "news.*",
    payload: 1,
    gap: undefined,
  };
  const message = new PlainMessage("pattern", "news.uk", "news.*", 1, undefined);
  assertEquals(message, literal);
  assertEquals(Object.getPrototypeOf(message), Object.prototype);
  assertEquals(Object.getOwnPropertyDescriptors(message), Object.getOwnPropertyDescriptors(literal));
  assertEquals(Object.keys(message), Object.keys(literal));
  assertEquals(structuredClone(message), literal);
});
