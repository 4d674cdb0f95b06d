import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { alreadyClosed, cannotConnect, connectionLost, ReadBuffer } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";

test("ReadBuffer: small reads share one buffer, side by side", () => {
  const buffer = new ReadBuffer();
  const first = fill(buffer, 100, 1);
  const second = fill(buffer, 50, 2);
  assertStrictEquals(first.buffer, second.buffer);
  assertEquals(second.byteOffset, first.byteOffset + 100);
});

test("ReadBuffer: whatever is read, there is room for 16 KiB, and no chunk changes", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 30 }), (sizes) => {
    const buffer = new ReadBuffer();
    const chunks = sizes.map((size, index) => fill(buffer, size, index));
    chunks.forEach((chunk, index) => assert(chunk.every((byte) => byte === index)));
  }));
});

function fill(buffer: ReadBuffer, size: number, value: number): Uint8Array {
  const free = buffer.free();
  assert(free.byteLength >= 16 * 1024);
  const count = Math.min(size, free.byteLength);
  free.fill(value, 0, count);
  const chunk = buffer.take(count);
  assertEquals(chunk.byteLength, count);
  return chunk;
}

test("the errors of every leaf name the endpoint, in their text and as a property", () => {
  const cause = new Error("platform");
  for (
    const [error, message, expected] of [
      [cannotConnect("a:1", "connection refused", cause), "Cannot connect to a:1: connection refused", cause],
      [connectionLost("a:1", "reset", cause), "Lost the connection to a:1: reset", cause],
      [alreadyClosed("a:1"), "Cannot write to a:1: the connection was closed on this side", undefined],
    ] as const
  ) {
    assertEquals(error.message, message);
    assertEquals(error.endpoint, "a:1");
    assertStrictEquals(error.cause, expected);
  }
});
