/** An inbox that is read into in place. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { Inbox } from "../../src/resp/buffer.ts";
import { test } from "../support/test.ts";
import { misplaced, write } from "./inbox.ts";
import { bytes, latin1 } from "./wire.ts";

const KIB = 1024;
const IDLE = 4 * KIB;
const BUSY = 256 * KIB;
/** So much memory stands in front of what is lent. */
const FRONT = 100;
/** So much of a chunk is shown at first behind what waits. */
const SEAM = 4 * KIB;

function waiting(inbox: Inbox): Uint8Array {
  return inbox.bytes.subarray(inbox.start, inbox.end);
}

/** Reads so many bytes into the room, all of one value; as many as it takes where the count is "all". */
function readInto(inbox: Inbox, count: number | "all", value = 0x78): void {
  const room = inbox.room();
  inbox.feed(room.subarray(0, count === "all" ? room.length : count).fill(value));
}

/** Reads so many bytes, and takes them all out. */
function pass(inbox: Inbox, count: number | "all"): void {
  readInto(inbox, count);
  inbox.start = inbox.end;
  inbox.release();
}

/** An inbox that a firehose has filled again and again. */
function busyInbox(): Inbox {
  const inbox = new Inbox();
  for (let read = 0; read < 5; read++) pass(inbox, "all");
  return inbox;
}

test("what is read into the room waits where it was read to, and the room goes on behind it", () => {
  const inbox = new Inbox();
  const room = inbox.room();
  room.set(bytes("abc"));
  inbox.feed(room.subarray(0, 3));
  assertEquals([latin1(waiting(inbox)), inbox.offset], ["abc", 0]);
  assertStrictEquals(inbox.bytes.buffer, room.buffer);
  const next = inbox.room();
  assertEquals([next.buffer === room.buffer, next.byteOffset, next.length], [
    true,
    room.byteOffset + 3,
    room.length - 3,
  ]);
  next.set(bytes("de"));
  inbox.feed(next.subarray(0, 2));
  assertEquals([latin1(waiting(inbox)), inbox.offset], ["abcde", 0]);
});

test("what is left over is moved to the front, and its offset stays", () => {
  const inbox = new Inbox();
  inbox.room().set(bytes("abcdef"));
  inbox.feed(inbox.room().subarray(0, 6));
  inbox.start = 4;
  const { length } = inbox.room();
  assertEquals([latin1(waiting(inbox)), inbox.offset, inbox.start, length], ["ef", 4, 0, IDLE - 2]);
  inbox.start = 2;
  assertEquals([inbox.room().length, inbox.offset], [IDLE, 6]);
});

test("a room that nothing is read into changes nothing", () => {
  const inbox = new Inbox();
  inbox.room().set(bytes("ab"));
  inbox.feed(inbox.room().subarray(0, 2));
  inbox.room().fill(0x78);
  inbox.feed(inbox.room().subarray(0, 0));
  assertEquals([latin1(waiting(inbox)), inbox.offset], ["ab", 0]);
});

test("its view shows the same memory as its bytes, whichever that is", () => {
  const inbox = new Inbox();
  const assertShows = (text: string) => {
    const { view, start, end } = inbox;
    assertEquals(String.fromCharCode(...Array.from({ length: end - start }, (_, i) => view.getUint8(start + i))), text);
    assertEquals([view.buffer === inbox.bytes.buffer, view.byteOffset, view.byteLength], [
      true,
      inbox.bytes.byteOffset,
      inbox.bytes.byteLength,
    ]);
  };
  assertShows("");
  readInto(inbox, 3, 0x61);
  assertShows("aaa");
  inbox.feed(bytes("b"));
  assertShows("aaab");
  inbox.start = inbox.end;
  inbox.feed(bytes("xcx").subarray(1, 2));
  assertShows("c");
  inbox.feed(new Uint8Array(10_000).fill(0x64));
  assertShows(`c${"d".repeat(SEAM)}`);
  inbox.more();
  assertShows(`c${"d".repeat(2 * SEAM)}`);
  inbox.start++;
  inbox.more();
  assertShows("d".repeat(10_000));
  inbox.clear();
  assertShows("");
  readInto(inbox, 1, 0x65);
  assertShows("e");
});

test("a chunk behind what waits is read where it is, as soon as nothing before it waits", () => {
  const inbox = new Inbox();
  inbox.feed(bytes("ab"));
  const chunk = write(new Uint8Array(100_000), 0);
  inbox.feed(chunk);
  assertEquals(inbox.end - inbox.start, 2 + SEAM);
  assert(inbox.bytes.buffer !== chunk.buffer);
  inbox.start += 2 + 10;
  assert(inbox.more());
  assertStrictEquals(inbox.bytes.buffer, chunk.buffer);
  assertEquals([inbox.offset, inbox.end - inbox.start, misplaced(inbox, 10)], [12, chunk.length - 10, -1]);
  assertEquals(inbox.more(), false);
});

test("of a chunk that what waits reaches into, twice as much is copied each time", () => {
  const inbox = new Inbox();
  inbox.feed(write(new Uint8Array(2), 0));
  inbox.feed(write(new Uint8Array(7 * SEAM), 2));
  const shown = [inbox.end - 2];
  while (inbox.more()) shown.push(inbox.end - 2);
  assertEquals(shown, [SEAM, 2 * SEAM, 4 * SEAM, 7 * SEAM]);
  assertEquals(misplaced(inbox, 0), -1);
});

test("a further chunk, or a room, comes behind all of the chunk before it", () => {
  for (const read of [0, 1, 5_000]) {
    for (const how of ["chunk", "room", "clear"] as const) {
      const inbox = new Inbox();
      inbox.feed(write(new Uint8Array(1), 0));
      inbox.feed(write(new Uint8Array(20_000), 1));
      inbox.start += Math.min(read, inbox.end);
      if (how === "clear") {
        inbox.clear();
        assertEquals([inbox.end - inbox.start, inbox.more()], [0, false]);
        continue;
      }
      const more = how === "room" ? inbox.room().subarray(0, 100) : new Uint8Array(100);
      inbox.feed(write(more, 20_001));
      while (inbox.more());
      const taken = Math.min(read, 1 + SEAM);
      assertEquals([inbox.offset, inbox.end - inbox.start, misplaced(inbox, taken)], [taken, 20_101 - taken, -1]);
    }
  }
});

test("a room that is filled makes the next ones larger, up to 256 KiB", () => {
  const inbox = new Inbox();
  const sizes = Array.from({ length: 6 }, () => {
    const { length } = inbox.room();
    pass(inbox, "all");
    return length;
  });
  assertEquals(sizes, [IDLE, 16 * KIB, 64 * KIB, BUSY, BUSY, BUSY]);
});

test("a room that is not quite filled stays as large as it is", () => {
  const inbox = new Inbox();
  for (let read = 0; read < 50; read++) pass(inbox, IDLE - 1);
  assertEquals(inbox.room().length, IDLE);
});

test("eight reads in a row that take a sixteenth or less make the next room half as large", () => {
  const inbox = busyInbox();
  const quiet = BUSY / 16;
  for (let read = 0; read < 7; read++) pass(inbox, quiet);
  assertEquals(inbox.room().length, BUSY);
  // One that takes more, and they are counted anew.
  pass(inbox, quiet + 1);
  for (let read = 0; read < 7; read++) pass(inbox, quiet);
  assertEquals(inbox.room().length, BUSY);
  pass(inbox, quiet);
  assertEquals(inbox.room().length, BUSY / 2);
  for (let read = 0; read < 8; read++) pass(inbox, 1);
  assertEquals(inbox.room().length, BUSY / 4);
});

test("where chunks come, what they leave waits in one buffer, whether it is more or less", () => {
  const inbox = new Inbox();
  const buffers = new Set<ArrayBuffer>();
  for (const left of [60_000, 3_000, 33_000, 100, 60_000]) {
    inbox.feed(new Uint8Array(100_000));
    do inbox.start = inbox.end; while (inbox.more());
    inbox.start = inbox.end - left;
    buffers.add(inbox.room().buffer);
  }
  assertEquals([buffers.size, inbox.end - inbox.start], [1, 60_000]);
});

test("where chunks come that leave nothing, the room is as small as at first", () => {
  const inbox = new Inbox();
  const first = inbox.room().length;
  for (const left of [60_000, 0]) {
    inbox.feed(new Uint8Array(100_000));
    do inbox.start = inbox.end; while (inbox.more());
    inbox.start = inbox.end - left;
    inbox.room();
  }
  assertEquals(inbox.room().length, first);
});

test("a connection that has become quiet has no more room than a new one", () => {
  const inbox = busyInbox();
  const sizes = Array.from({ length: 8 * 7 }, () => {
    pass(inbox, 10);
    return inbox.room().length;
  });
  assertEquals([sizes[0], sizes.at(-1)], [BUSY, IDLE]);
  assert(sizes.every((size, i) => i === 0 || size <= sizes[i - 1]!));
  // The buffer itself, too.
  assertEquals(inbox.room().buffer.byteLength, IDLE);
});

test("after a rest the next read has the small room, and what waits is kept", () => {
  const inbox = busyInbox();
  inbox.feed(inbox.room().subarray(0, 3).fill(0x78), 1_001);
  inbox.start += 2;
  assertEquals([inbox.room().buffer.byteLength, latin1(waiting(inbox))], [IDLE, "x"]);
});

test("while it is idle it holds its small buffer, and no chunk", () => {
  const inbox = new Inbox();
  assertEquals(inbox.bytes.length, 0);
  inbox.feed(new Uint8Array(100_000));
  inbox.start = inbox.end;
  inbox.release();
  assertEquals([inbox.room().length, inbox.bytes.buffer.byteLength], [IDLE, IDLE]);
});

test("however much waits, there is a third as much room at least, and for more than 256 KiB too", () => {
  const inbox = new Inbox();
  let total = 0;
  // In small reads, as from a slow network.
  while (total < 5 * BUSY) {
    const room = inbox.room();
    assert(room.length >= total / 3, `${room.length} where ${total} wait`);
    const count = Math.min(room.length, 50_000);
    inbox.feed(room.subarray(0, count).fill(total & 0xff));
    total += count;
  }
  assertEquals([inbox.end - inbox.start, inbox.offset], [total, 0]);
  inbox.start = inbox.end - 10;
  assert(inbox.room().length <= BUSY);
  assertEquals([inbox.end - inbox.start, inbox.offset], [10, total - 10]);
});

test("a buffer that had to be larger than 256 KiB is let go when it is read to its end", () => {
  for (const last of ["release", "clear"] as const) {
    const inbox = new Inbox();
    inbox.feed(new Uint8Array(10));
    inbox.feed(new Uint8Array(2 * BUSY));
    while (inbox.more());
    const { buffer } = inbox.bytes;
    inbox.start = inbox.end;
    inbox[last]();
    assertEquals([inbox.bytes.length, inbox.offset], [0, 10 + 2 * BUSY]);
    inbox.feed(new Uint8Array(1));
    inbox.feed(new Uint8Array(1));
    assert(inbox.bytes.buffer !== buffer && inbox.bytes.length < BUSY);
  }
});

test("clear lets go of what waits, and counts it not as read", () => {
  const inbox = new Inbox();
  readInto(inbox, 100);
  inbox.start = 60;
  inbox.clear();
  assertEquals([inbox.end - inbox.start, inbox.offset], [0, 60]);
  readInto(inbox, 5);
  assertEquals([inbox.end - inbox.start, inbox.offset], [5, 60]);
});

test("a chunk of our own memory that is not where the room begins is a chunk like any other", () => {
  const inbox = new Inbox();
  const room = inbox.room();
  room.set(bytes("abcdef"));
  inbox.feed(room.subarray(2, 4));
  inbox.room();
  assertEquals([latin1(waiting(inbox)), inbox.offset], ["cd", 0]);
  readInto(inbox, 2, 0x65);
  assertEquals(latin1(waiting(inbox)), "cdee");
});

type Step =
  | { readonly type: "chunk" | "loan"; readonly size: number }
  /** So many thousandths of the room. */
  | { readonly type: "read"; readonly share: number }
  /** So many thousandths of what waits. */
  | { readonly type: "take"; readonly share: number }
  | { readonly type: "release" | "room" | "more" };

const share = fc.oneof(fc.nat({ max: 1_000 }), fc.constantFrom(0, 1, 1_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom("chunk" as const, "loan" as const),
      size: fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 9_000 }), fc.constantFrom(IDLE, BUSY, BUSY + 1)),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("read" as const), share }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("take" as const), share }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom("release" as const, "room" as const, "more" as const) }) },
);

test("an inbox holds what was fed and not taken, at its offset, whatever way it comes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const inbox = new Inbox();
      const chunks: { chunk: Uint8Array; copy: Uint8Array }[] = [];
      let lent: Uint8Array | undefined;
      // It ends as soon as there is room, and then something else stands there.
      const roomOf = (inbox: Inbox) => {
        const room = inbox.room();
        lent?.fill(0xcc);
        return room;
      };
      let [fed, taken] = [0, 0];
      for (const step of steps) {
        switch (step.type) {
          case "chunk": {
            const chunk = write(new Uint8Array(step.size), fed);
            chunks.push({ chunk, copy: chunk.slice() });
            inbox.feed(chunk);
            fed += step.size;
            break;
          }
          case "loan": {
            // There is one at a time.
            roomOf(inbox);
            lent = new Uint8Array(FRONT + step.size);
            inbox.feed(write(lent.subarray(FRONT), fed), 0, "lent");
            fed += step.size;
            break;
          }
          case "read": {
            const room = roomOf(inbox);
            assert(room.length >= Math.max(1, (fed - taken) / 3));
            const count = Math.ceil(room.length * step.share / 1_000);
            // Behind what is read stands something else.
            room.fill(0xee, count);
            write(room.subarray(0, count), fed);
            inbox.feed(room.subarray(0, count));
            fed += count;
            break;
          }
          case "take": {
            const count = Math.floor((inbox.end - inbox.start) * step.share / 1_000);
            inbox.start += count;
            taken += count;
            break;
          }
          case "release":
            inbox.release();
            break;
          case "room":
            roomOf(inbox).fill(0xdd);
            break;
          case "more": {
            const shown = inbox.end - inbox.start;
            const isAll = shown === fed - taken;
            assertEquals([inbox.more(), inbox.end - inbox.start > shown], [!isAll, !isAll]);
          }
        }
        assert(inbox.end - inbox.start <= fed - taken);
        assertEquals(inbox.offset, taken);
        assertEquals(misplaced(inbox, taken), -1, `after ${step.type}`);
      }
      for (const { chunk, copy } of chunks) assertEquals(chunk, copy);
    }),
    { numRuns: 150 },
  );
});
