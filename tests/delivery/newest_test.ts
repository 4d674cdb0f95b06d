import { assertEquals } from "@std/assert";
import { Newest } from "../../src/delivery/newest.ts";
import type { Message } from "../../src/message.ts";
import { test } from "../support/test.ts";

function message(channel: string, pattern?: string): Message<string> {
  return { kind: pattern === undefined ? "channel" : "pattern", channel, pattern, payload: "", gap: undefined };
}

test("The place of a channel's message moves up as those before it leave, and is forgotten with it", () => {
  const newest = new Newest();
  ["a", "b", "c"].forEach((channel, i) => newest.add(message(channel), i));
  assertEquals([newest.find(message("a")), newest.find(message("c"))], [0, 2]);
  newest.left(message("a"));
  assertEquals([newest.find(message("a")), newest.find(message("b")), newest.find(message("c"))], [undefined, 0, 1]);
  newest.add(message("a"), 2);
  assertEquals(newest.find(message("a")), 2);
  newest.clear();
  assertEquals(newest.find(message("c")), undefined);
});

test("A channel by itself and by each pattern are different", () => {
  const newest = new Newest();
  newest.add(message("a"), 0);
  newest.add(message("a", "?"), 1);
  newest.add(message("a", "*"), 2);
  assertEquals([message("a"), message("a", "?"), message("a", "*")].map((each) => newest.find(each)), [0, 1, 2]);
  newest.left(message("a"));
  newest.left(message("a", "?"));
  assertEquals([newest.find(message("a", "?")), newest.find(message("a", "*"))], [undefined, 0]);
});
