/** An inbox that is given memory to read in for a while. */
import { assertEquals } from "@std/assert";
import { Inbox } from "../../src/resp/buffer.ts";
import { test } from "../support/test.ts";
import { misplaced, PATTERN, write } from "./inbox.ts";

/** So much memory stands in front of what is lent. */
const FRONT = 100;

test("what waits is put in front of what is lent, where there is enough memory, and is read with it there", () => {
  for (const left of [0, 3, FRONT, FRONT + 1]) {
    const inbox = new Inbox();
    inbox.room();
    inbox.feed(write(new Uint8Array(5 + left), 0), 0, "lent");
    inbox.start += 5;
    inbox.room();
    const { buffer } = write(new Uint8Array(FRONT + 20_000), 5 + left - FRONT + 3 * PATTERN.length);
    inbox.feed(new Uint8Array(buffer, FRONT), 0, "lent");
    const isThere = left <= FRONT;
    assertEquals([inbox.bytes.buffer === buffer, inbox.end - inbox.start], [isThere, left + (isThere ? 20_000 : 4096)]);
    assertEquals([misplaced(inbox, 5), inbox.offset, inbox.memory], [-1, 5, "reused"]);
    while (inbox.more());
    assertEquals([misplaced(inbox, 5), inbox.end - inbox.start, inbox.memory], [-1, left + 20_000, "reused"]);
  }
});

test("a chunk may be kept, unless it is lent", () => {
  const inbox = new Inbox();
  for (const memory of ["kept", "lent", "kept"] as const) {
    inbox.feed(new Uint8Array(10), 0, memory);
    assertEquals(inbox.memory, memory === "kept" ? "kept" : "reused");
    inbox.start = inbox.end;
    assertEquals(inbox.room().length, 4096);
  }
});
