import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ConnectionError } from "../../src/errors.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { test } from "../support/test.ts";

/** Where a promise stands once every microtask that is due has run. */
async function stateOf(promise: Promise<unknown>): Promise<"pending" | "resolved" | "rejected"> {
  let state: "pending" | "resolved" | "rejected" = "pending";
  promise.then(() => state = "resolved", () => state = "rejected");
  for (let turn = 0; turn < 10; turn++) await undefined;
  return state;
}

const bytes = (size: number, value = 1) => new Uint8Array(size).fill(value);

test("memory: each write arrives as a chunk of its own, whether the reader waits or not", async () => {
  const [near, far] = memoryPair();
  const waiting = far.read();
  await near.write(bytes(3, 1));
  await near.write(bytes(2, 2));
  await near.write(bytes(1, 3));
  assertEquals(await waiting, bytes(3, 1));
  assertEquals(await far.read(), bytes(2, 2));
  assertEquals(await far.read(), bytes(1, 3));
});

test("memory: a write is copied, also from a view that shares its buffer", async () => {
  const [near, far] = memoryPair();
  const buffer = bytes(8, 5);
  await near.write(buffer.subarray(2, 4));
  buffer.fill(9);
  const chunk = await far.read();
  assertEquals(chunk, bytes(2, 5));
  assertEquals(chunk?.buffer.byteLength, 2);
});

test("memory: a write waits above the capacity, and resolves when a read makes room", async () => {
  const [near, far] = memoryPair({ capacity: 10 });
  assertEquals(await stateOf(near.write(bytes(6))), "resolved");
  assertEquals(await stateOf(near.write(bytes(4))), "resolved");
  const third = near.write(bytes(5));
  const fourth = near.write(bytes(1));
  assertEquals(await stateOf(third), "pending");
  assertEquals(await stateOf(fourth), "pending");
  await far.read();
  assertEquals(await stateOf(third), "resolved");
  assertEquals(await stateOf(fourth), "resolved");
});

test("memory: a small write does not overtake a large one that waits", async () => {
  const [near, far] = memoryPair({ capacity: 4 });
  await near.write(bytes(3, 1));
  const large = near.write(bytes(4, 2));
  const small = near.write(bytes(1, 3));
  assertEquals(await stateOf(small), "pending");
  assertEquals([await far.read(), await far.read(), await far.read()], [bytes(3, 1), bytes(4, 2), bytes(1, 3)]);
  await Promise.all([large, small]);
});

test("memory: a write above the whole capacity resolves when it is read", async () => {
  const [near, far] = memoryPair({ capacity: 4 });
  const write = near.write(bytes(9));
  const next = near.write(bytes(4));
  assertEquals(await stateOf(write), "pending");
  assertEquals(await far.read(), bytes(9));
  assertEquals(await stateOf(write), "resolved");
  assertEquals(await stateOf(next), "resolved");
});

test("memory: a write above the room arrives in parts, each of which makes room for the next write", async () => {
  const [near, far] = memoryPair({ capacity: 4 });
  const room = new Uint8Array(3);
  await near.write(bytes(4, 1));
  const next = near.write(bytes(3, 2));
  assertEquals(await stateOf(next), "pending");
  assertEquals((await far.read(room))?.slice(), bytes(3, 1));
  assertEquals(await stateOf(next), "resolved");
  assertEquals((await far.read(room))?.slice(), bytes(1, 1));
  assertEquals((await far.read(room))?.slice(), bytes(3, 2));
});

test("memory: a write above the room of the reader that waits, and above the capacity", async () => {
  const [near, far] = memoryPair({ capacity: 4 });
  const room = new Uint8Array(2);
  const waiting = far.read(room);
  assertEquals(await stateOf(near.write(new Uint8Array([1, 2, 3, 4, 5, 6, 7]))), "resolved");
  const next = near.write(bytes(1, 8));
  assertEquals((await waiting)?.slice(), new Uint8Array([1, 2]));
  assertEquals(await stateOf(next), "pending");
  assertEquals((await far.read(room))?.slice(), new Uint8Array([3, 4]));
  assertEquals(await stateOf(next), "resolved");
  assertEquals([await far.read(), await far.read()], [new Uint8Array([5, 6, 7]), bytes(1, 8)]);
});

test("memory: the directions have a capacity each", async () => {
  const [near, far] = memoryPair({ capacity: 4 });
  await near.write(bytes(4));
  assertEquals(await stateOf(far.write(bytes(4))), "resolved");
});

test("memory: a close leaves what was taken to the peer, and drops the write that waits", async () => {
  const [near, far] = memoryPair({ capacity: 4 });
  await near.write(bytes(4));
  const waiting = near.write(bytes(1));
  near.close();
  await assertRejects(() => waiting, ConnectionError, "the connection was closed on this side");
  assertEquals([await far.read(), await far.read(), await far.read()], [bytes(4), undefined, undefined]);
});

test("memory: a close rejects the writes of the peer, the waiting one and the next", async () => {
  const [near, far] = memoryPair({ capacity: 4 });
  await far.write(bytes(4));
  const waiting = far.write(bytes(1));
  near.close();
  await assertRejects(() => waiting, ConnectionError, "the peer closed the connection");
  await assertRejects(() => far.write(bytes(1)), ConnectionError, "the peer closed the connection");
});

test("memory: a close ends the pending read of either side", async () => {
  const [near, far] = memoryPair();
  const reads = [near.read(), far.read()];
  near.close();
  assertEquals(await Promise.all(reads), [undefined, undefined]);
});

test("memory: the own close stays the own close after the peer's", async () => {
  const [near, far] = memoryPair();
  near.close();
  far.close();
  await assertRejects(() => near.write(bytes(1)), ConnectionError, "the connection was closed on this side");
});

test("memory: the capacity must be a positive integer", () => {
  for (const capacity of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => memoryPair({ capacity }), RangeError, `positive integer: ${capacity}`);
  }
});

test("memory: whatever is written, read and refused, in any order: chunks arrive whole, in order, within bounds", () =>
  fc.assert(fc.asyncProperty(
    fc.integer({ min: 1, max: 8 }),
    fc.array(fc.oneof(fc.constant("read" as const), fc.integer({ min: 0, max: 12 })), { maxLength: 40 }),
    async (capacity, steps) => {
      const [near, far] = memoryPair({ capacity });
      const expected: Uint8Array[] = [];
      const reads: Promise<Uint8Array | undefined>[] = [];
      const writes: { size: number; state: "pending" | "resolved" }[] = [];
      let value = 0;
      let read = 0;
      for (const step of steps) {
        if (step === "read") {
          // One read at a time: skip the one that would wait.
          if (reads.length >= expected.length) continue;
          reads.push(far.read());
          read++;
        } else {
          const chunk = bytes(step, ++value % 256);
          const write: { size: number; state: "pending" | "resolved" } = { size: step, state: "pending" };
          near.write(chunk).then(() => write.state = "resolved", () => {}); // the close below rejects what waits
          if (step > 0) {
            expected.push(chunk);
            writes.push(write);
          }
        }
        await stateOf(Promise.resolve());
        // The model: a write is resolved once it is read, or once all that is unread up to it fits.
        let unread = 0;
        writes.forEach(({ size, state }, index) => {
          if (index >= read) unread += size;
          assertEquals(state, index < read || unread <= capacity ? "resolved" : "pending");
        });
      }
      assertEquals(await Promise.all(reads), expected.slice(0, read));
      near.close();
      far.close();
    },
  )));
