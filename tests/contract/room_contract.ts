/** What a transport must do that is read into memory of the caller, and that fills it. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { deadline } from "@std/async";
import { test } from "../support/test.ts";
import { differsAt, KIB, MARK, MIB, pattern, readExactly, writePattern } from "./pattern.ts";
import type { Check, Leaf } from "./transport_contract.ts";

/** No test may hang. */
const LIMIT_MS = 20_000;

export function roomContract(leaf: Leaf, check: Check): void {
  check("a short read fills its room from the start, and nothing beside it", async ({ near, far }) => {
    const buffer = new Uint8Array(60).fill(MARK);
    const reading = near.read(buffer.subarray(20, 40));
    await far.write(pattern(0, 12));
    const chunk = await reading;
    assert(chunk !== undefined);
    assertEquals([chunk.buffer === buffer.buffer, chunk.byteOffset], [true, 20]);
    assertEquals(chunk.byteLength, 12);
    assertEquals(differsAt(chunk, 0), -1);
    assertStrictEquals(Object.getPrototypeOf(chunk), Uint8Array.prototype);
    assert(isMarked(buffer.subarray(0, 20)) && isMarked(buffer.subarray(40)));
  });

  if (leaf.brings !== undefined) {
    check(
      "a longer chunk is memory of its own, and so is one that the room is too small for",
      async ({ near, far }) => {
        for (const [roomBytes, bytes] of [[8 * KIB, KIB + 1], [20, 21]] as const) {
          const room = new Uint8Array(roomBytes).fill(MARK);
          const reading = near.read(room);
          await far.write(pattern(0, bytes));
          const chunk = await reading;
          assert(chunk !== undefined);
          assertOutside(chunk, room);
          assertEquals(differsAt(chunk, 0), -1);
          assertEquals(chunk.byteLength, bytes);
          assertStrictEquals(Object.getPrototypeOf(chunk), Uint8Array.prototype);
          assert(isMarked(room));
        }
      },
    );
  }

  check("bytes that wait are read, whatever room there is, and the peer's end comes after them", async (pair) => {
    const { near, far } = pair;
    const total = 100 * KIB;
    await far.write(pattern(0, total));
    far.close();
    let at = 0;
    for (let size = 1; at < total; size = Math.min(2 * size, 1000)) {
      const room = new Uint8Array(size);
      const chunk = await near.read(room);
      assert(chunk !== undefined);
      assertComes(chunk, room);
      assertEquals(differsAt(chunk, at), -1);
      at += chunk.byteLength;
    }
    assertEquals(await near.read(new Uint8Array(10)), undefined);
    assertEquals(await near.read(), undefined);
  });

  check("rooms of one byte take a byte each", async ({ near, far }) => {
    const writing = far.write(pattern(0, 2000));
    assertEquals(differsAt(await readExactly(near, 2000, new Uint8Array(1)), 0), -1);
    await writing;
  });

  check("on a flood every read fills its room, or brings memory of its own", async ({ near, far }) => {
    const total = 6 * MIB;
    const writing = writePattern(far, total, [300 * KIB + 7, 5, 2 * MIB]);
    const room = new Uint8Array(64 * KIB);
    for (let at = 0; at < total;) {
      const chunk = await near.read(room);
      assert(chunk !== undefined && chunk.byteLength > 0);
      assertComes(chunk, room);
      assertEquals(differsAt(chunk, at), -1);
      at += chunk.byteLength;
    }
    await writing;
  });

  check("reads with a room and without take turns, and only rooms are written to again", async ({ near, far }) => {
    const total = 3 * MIB;
    const writing = writePattern(far, total, [100, 70 * KIB, 5 * KIB, MIB]);
    const rooms = [undefined, 1, 4 * KIB, undefined, 64 * KIB + 7, undefined, 300 * KIB]
      .map((size) => size === undefined ? undefined : new Uint8Array(size));
    const kept: { chunk: Uint8Array; at: number }[] = [];
    for (let at = 0, turn = 0; at < total; turn++) {
      const room = rooms[turn % rooms.length];
      const chunk = await near.read(room);
      assert(chunk !== undefined && chunk.byteLength > 0);
      assertEquals(differsAt(chunk, at), -1);
      if (chunk.buffer !== room?.buffer) kept.push({ chunk, at });
      at += chunk.byteLength;
      room?.fill(MARK);
    }
    await writing;
    for (const { chunk, at } of kept) assertEquals(differsAt(chunk, at), -1);
  });

  check("a room is the caller's again once the read has settled", async ({ near, far }) => {
    const total = 2 * MIB;
    const writing = writePattern(far, total, [MIB]);
    const room = new Uint8Array(32 * KIB);
    for (let at = 0; at < total;) {
      const chunk = await near.read(room);
      assert(chunk !== undefined && chunk.byteLength > 0);
      assertEquals(differsAt(chunk, at), -1);
      at += chunk.byteLength;
      room.fill(MARK);
      await nextTurn();
      assert(isMarked(room));
    }
    await writing;
  });

  check("a room is the caller's again after a close in the middle of a read", async ({ near, far }) => {
    const room = new Uint8Array(64 * KIB);
    const reading = near.read(room);
    await nextTurn();
    // One is on its way when the close comes, the other comes after it.
    const before = far.write(pattern(0, 32 * KIB));
    near.close();
    const written = Promise.allSettled([before, far.write(pattern(0, 32 * KIB))]);
    await reading;
    room.fill(MARK);
    await written;
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    assert(isMarked(room));
  });

  check("a second read while one is pending leaves both rooms alone", async ({ near, far }) => {
    const first = new Uint8Array(100);
    const second = new Uint8Array(100).fill(MARK);
    const reading = near.read(first);
    await assertRejects(() => near.read(second), TypeError, "Cannot read: an earlier read is still pending");
    await far.write(pattern(0, 10));
    assertComes(await reading, first);
    assert(isMarked(second));
  });

  test(`${leaf.name}: connections that are read at the same time never mix`, async () => {
    const pairs = await Promise.all(Array.from({ length: 4 }, () => leaf.pair()));
    const exchanges = pairs.map(async ({ near, far }, index) => {
      const start = 10_007 * index;
      const room = index === 0 ? undefined : new Uint8Array(40 * KIB * index);
      const [got] = await Promise.all([readExactly(near, MIB, room), far.write(pattern(start, MIB))]);
      assertEquals(differsAt(got, start), -1);
    });
    try {
      await deadline(Promise.all(exchanges), LIMIT_MS);
    } finally {
      for (const pair of pairs) await pair[Symbol.asyncDispose]();
    }
  });
}

/** It stands in the room, from its start, or in memory that is not the caller's. */
function assertComes(chunk: Uint8Array | undefined, room: Uint8Array): void {
  assert(chunk !== undefined);
  if (chunk.buffer !== room.buffer) assertOutside(chunk, room);
  else assertEquals(chunk.byteOffset, room.byteOffset);
}

function assertOutside(chunk: Uint8Array, room: Uint8Array): void {
  assert(chunk.buffer !== room.buffer);
}

function isMarked(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === MARK);
}

/** Lets whatever is due come in: sockets too. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve));
}
