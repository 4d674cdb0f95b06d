/** What is asked for in the wrong way is refused before anything is done for it. */
import type { Client, PubSub } from "@earshot/redis";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { onStage } from "./stage.ts";

/** Every call that takes options of a call. */
const CALLS: readonly (readonly [string, (redis: Client, pubsub: PubSub, options: never) => Promise<unknown>])[] = [
  ["subscribe", (_, pubsub, options) => pubsub.subscribe("a", options)],
  ["psubscribe", (_, pubsub, options) => pubsub.psubscribe("a", options)],
  ["ssubscribe", (_, pubsub, options) => pubsub.ssubscribe("a", options)],
  ["unsubscribe", (_, pubsub, options) => pubsub.unsubscribe("a", options)],
  ["synced", (_, pubsub, options) => pubsub.synced(options)],
  ["drain", (_, pubsub, options) => pubsub.drain(options)],
  ["publish", (redis, _, options) => redis.publish("a", "b", options)],
  ["spublish", (redis, _, options) => redis.spublish("a", "b", options)],
  ["command", (redis, _, options) => redis.command(["PING"], options)],
];

const WRONG: readonly (readonly [unknown, typeof TypeError | typeof RangeError, string])[] = [
  [{ timeout: 5 }, TypeError, 'Unknown option of a call: "timeout"'],
  [new AbortController().signal, TypeError, "The options of a call must be an object, such as { signal, timeoutMs }"],
  [null, TypeError, "The options of a call must be an object"],
  [500, TypeError, "The options of a call must be an object"],
  [{ signal: "soon" }, TypeError, "signal must be an AbortSignal: string"],
  [{ signal: null }, TypeError, "signal must be an AbortSignal: object"],
  [{ timeoutMs: "5" }, TypeError, "timeoutMs must be a number: string"],
  [{ timeoutMs: -1 }, RangeError, "timeoutMs must be at least 0: -1"],
  [{ timeoutMs: NaN }, RangeError, "timeoutMs must be at least 0: NaN"],
];

for (const [name, call] of CALLS) {
  onStage(`${name}() refuses options that it does not understand, and sends nothing`, async (stage) => {
    const redis = stage.client();
    const pubsub = redis.pubsub();
    for (const [options, kind, says] of WRONG) {
      await assertRejects(() => call(redis, pubsub, options as never), kind, says);
    }
    assertEquals([stage.broker.connectionCount, pubsub.subscriptions(), pubsub.readable.locked], [0, [], false]);
  });
}

onStage("What is no name, or none at all, is refused in clear words", async (stage) => {
  const redis = stage.client();
  const pubsub = redis.pubsub();
  for (const none of [undefined, null, 5, {}, new Set(["a"]), [undefined], ["a", 5]] as never[]) {
    for (const target of [redis, pubsub] as const) {
      await assertRejects(() => target.subscribe(none), TypeError, "A name must be a string or a Uint8Array: ");
      await assertRejects(() => target.psubscribe(none), TypeError, "A name must be a string or a Uint8Array: ");
      await assertRejects(() => target.ssubscribe(none), TypeError, "A name must be a string or a Uint8Array: ");
    }
    await assertRejects(() => redis.publish(none, "hello"), TypeError, "A name must be a string or a Uint8Array: ");
  }
  for (const target of [redis, pubsub] as const) {
    await assertRejects(() => target.subscribe([]), TypeError, "SUBSCRIBE needs at least one name");
    await assertRejects(() => target.psubscribe([]), TypeError, "PSUBSCRIBE needs at least one name");
    await assertRejects(() => target.ssubscribe([]), TypeError, "SSUBSCRIBE needs at least one name");
  }
  assertEquals([stage.broker.connectionCount, pubsub.subscriptions()], [0, []]);
});

onStage("A stream, its batches and a subscriber refuse what they do not know", async (stage) => {
  const redis = stage.client();
  const pubsub = redis.pubsub();
  assertThrows(() => pubsub.stream(undefined as never), TypeError, "The options of a stream must be an object");
  assertThrows(() => pubsub.stream({ channels: "a", pattern: "b" } as never), TypeError, 'of a stream: "pattern"');
  assertThrows(() => pubsub.stream({ channels: "a" }, { timeoutMs: 5 } as never), TypeError, 'a stream: "timeoutMs"');
  assertThrows(() => pubsub.batches({ max: 5 } as never), TypeError, 'Unknown option of batches: "max"');
  assertThrows(() => redis.pubsub({ signal: 5 } as never), TypeError, "signal must be an AbortSignal: number");
  await assertRejects(() => redis.subscribe("a", { signal: {} } as never), TypeError, "signal must be an AbortSignal");
  await assertRejects(() => redis.subscribe("a", { overflw: 1 } as never), TypeError, 'of a stream: "overflw"');
  assertEquals([stage.broker.connectionCount, pubsub.subscriptions()], [0, []]);
});
