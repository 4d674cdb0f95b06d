import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { bytes, text } from "../../src/codec.ts";
import { resolveStreamOptions } from "../../src/delivery/options.ts";
import { test } from "../support/test.ts";

test("A stream has its documented defaults", () => {
  assertEquals(resolveStreamOptions({}), {
    codec: text,
    overflow: "drop-oldest",
    onDecodeError: "error",
    maxQueuedMessages: 65_536,
    maxQueuedBytes: 16_777_216,
    backfill: undefined,
    backfillTimeoutMs: 10_000,
  });
});

test("The options of a stream are taken", () => {
  const options = {
    codec: bytes,
    overflow: "block",
    onDecodeError: "skip",
    maxQueuedMessages: 1,
    maxQueuedBytes: 1,
    backfill: () => undefined,
    backfillTimeoutMs: 0,
  } as const;
  const resolved = resolveStreamOptions(options);
  assertEquals(resolved, options);
  assertStrictEquals(resolved.codec, bytes);
});

const REFUSED_OF_STREAM: readonly [object, typeof TypeError | typeof RangeError, string][] = [
  [{ maxQueue: 1 }, TypeError, 'Unknown option of a stream: "maxQueue"'],
  [{ overflow: "drop" }, TypeError, 'overflow must be one of drop-oldest, drop-newest, latest, block, error: "drop"'],
  [{ overflow: "toString" }, TypeError, "overflow must be one of"],
  [{ backfill: [] }, TypeError, "backfill must be a function: object"],
  [{ backfillTimeoutMs: -1 }, RangeError, "backfillTimeoutMs must be from 0"],
  [{ onDecodeError: "throw" }, TypeError, 'onDecodeError must be "error" or "skip": "throw"'],
  [{ maxQueuedMessages: 0 }, RangeError, "maxQueuedMessages must be from 1"],
  [{ maxQueuedMessages: NaN }, RangeError, "maxQueuedMessages must be from 1"],
  [{ maxQueuedMessages: "1" }, TypeError, "maxQueuedMessages must be a number"],
  [{ maxQueuedMessages: 1.5 }, RangeError, "maxQueuedMessages must be a whole number: 1.5"],
  [{ maxQueuedBytes: 0 }, RangeError, "maxQueuedBytes must be from 1"],
  [{ maxQueuedBytes: Infinity }, RangeError, "maxQueuedBytes must be from 1"],
];

for (const [options, kind, expected] of REFUSED_OF_STREAM) {
  test(`A stream refuses ${JSON.stringify(options)}: ${expected}`, () => {
    assertThrows(() => resolveStreamOptions(options), kind, expected);
  });
}
