import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { DecodeError } from "../../src/errors.ts";
import type { Gap, GapReason, Message } from "../../src/message.ts";
import { QueueStream } from "../../src/stream/stream.ts";
import { CANNOT_COLLECT, collect } from "../support/garbage.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";
import { deliver, EPOCH, newDelivery, takeAll } from "./fake_owner.ts";

/** A gap whose first loss was at `since` on the fake clock. */
function gap(reasons: GapReason[], since: number, rest: { downMs?: number; dropped?: number } = {}): Gap {
  return { reasons, since: new Date(EPOCH + since), downMs: 0, dropped: 0, ...rest };
}

function message(payload: string): Message<string> {
  return { kind: "channel", channel: "news", pattern: undefined, payload, gap: undefined };
}

test("Messages come in order, as the same objects, and are counted", () => {
  const { delivery } = newDelivery();
  const shared = message("first");
  delivery.deliver(shared, 5);
  deliver(delivery, "ab", "c");
  assertEquals(delivery.counts(), { delivered: 0, dropped: 0, skipped: 0, backfilled: 0, queued: 3, queuedBytes: 8 });
  assertStrictEquals(delivery.take(), shared);
  assertEquals(delivery.counts(), { delivered: 1, dropped: 0, skipped: 0, backfilled: 0, queued: 2, queuedBytes: 3 });
  assertEquals(takeAll(delivery), ["ab", "c"]);
  assertEquals(delivery.counts(), { delivered: 3, dropped: 0, skipped: 0, backfilled: 0, queued: 0, queuedBytes: 0 });
});

test("A full queue drops its oldest messages, and tells how many before the oldest that is left", () => {
  const { delivery } = newDelivery({ maxQueuedMessages: 2 });
  deliver(delivery, "1", "2", "3", "4");
  assertEquals(delivery.counts(), { delivered: 0, dropped: 2, skipped: 0, backfilled: 0, queued: 2, queuedBytes: 2 });
  assertEquals(takeAll(delivery), [["3", gap(["overflow"], 5_000, { dropped: 2 })], "4"]);
  deliver(delivery, "5");
  assertEquals(takeAll(delivery), ["5"]);
});

test("A queue that is full of bytes drops as many messages as it takes", () => {
  const { delivery } = newDelivery({ maxQueuedBytes: 10 });
  deliver(delivery, "aaaa", "bbbb", "cc");
  assertEquals(delivery.counts().queuedBytes, 10);
  deliver(delivery, "ddddd");
  assertEquals(takeAll(delivery), [["cc", gap(["overflow"], 5_000, { dropped: 2 })], "ddddd"]);
});

test("One message may always wait, whatever its size; then it is the one that goes", () => {
  const { delivery } = newDelivery({ maxQueuedBytes: 4 });
  deliver(delivery, "ab", "oversized");
  assertEquals(delivery.counts().queuedBytes, 9);
  deliver(delivery, "c");
  assertEquals(delivery.counts().queuedBytes, 1);
  assertEquals(takeAll(delivery), [["c", gap(["overflow"], 5_000, { dropped: 2 })]]);
});

test("An empty payload costs no bytes, yet it counts as a message", () => {
  const { delivery } = newDelivery({ maxQueuedMessages: 2, maxQueuedBytes: 1 });
  deliver(delivery, "", "", "");
  assertEquals(takeAll(delivery).length, 2);
});

test("since of an overflow is when the first message was dropped, and starts anew with the next", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 1 });
  deliver(delivery, "1", "2");
  owner.clock.ms = 6_000;
  deliver(delivery, "3");
  assertEquals(takeAll(delivery), [["3", gap(["overflow"], 5_000, { dropped: 2 })]]);
  deliver(delivery, "4", "5");
  assertEquals(takeAll(delivery), [["5", gap(["overflow"], 6_000, { dropped: 1 })]]);
});

test("A lost connection leaves its gap before the next message, behind those that wait", () => {
  const { delivery, owner } = newDelivery();
  deliver(delivery, "1", "2");
  delivery.lost(4_200);
  owner.clock.ms = 5_700;
  delivery.recovered(owner.clock.ms);
  owner.clock.ms = 9_000;
  deliver(delivery, "3", "4");
  assertEquals(takeAll(delivery), ["1", "2", ["3", gap(["reconnect"], 4_200, { downMs: 1_500 })], "4"]);
});

test("A connection that is lost again before it was good is one gap, since the first loss", () => {
  const { delivery, owner } = newDelivery();
  delivery.lost(4_000);
  delivery.lost(4_900);
  owner.clock.ms = 6_000;
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "1");
  assertEquals(takeAll(delivery), [["1", gap(["reconnect"], 4_000, { downMs: 2_000 })]]);
});

test("Two outages with no message between them are told as one gap, the times when nothing was heard added up", () => {
  const { delivery, owner } = newDelivery();
  delivery.lost(5_000);
  owner.clock.ms = 5_100;
  delivery.recovered(owner.clock.ms);
  delivery.lost(6_000);
  owner.clock.ms = 6_030;
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "1");
  assertEquals(takeAll(delivery), [["1", gap(["reconnect"], 5_000, { downMs: 130 })]]);
});

test("Whoever has lost nothing has no gap", () => {
  const { delivery, owner } = newDelivery();
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "1");
  assertEquals(takeAll(delivery), ["1"]);
});

test("An overflow at the head and an outage at the tail are two gaps, each in its place", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 3 });
  deliver(delivery, "1", "2", "3", "4");
  delivery.lost(5_000);
  owner.clock.ms = 5_500;
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "5");
  assertEquals(takeAll(delivery), [
    ["3", gap(["overflow"], 5_000, { dropped: 2 })],
    "4",
    ["5", gap(["reconnect"], 5_000, { downMs: 500 })],
  ]);
});

test("The gap of a message that is dropped is not lost: it moves to the oldest that is left", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 2 });
  delivery.lost(4_000);
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "1", "2");
  owner.clock.ms = 7_000;
  deliver(delivery, "3");
  assertEquals(takeAll(delivery), [
    ["2", gap(["reconnect", "overflow"], 4_000, { downMs: 1_000, dropped: 1 })],
    "3",
  ]);
});

test("Where the drops reach a message with a gap of its own, the two are told as one, since the earlier", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 2 });
  deliver(delivery, "1");
  delivery.lost(4_000);
  owner.clock.ms = 5_200;
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "2");
  owner.clock.ms = 6_000;
  deliver(delivery, "3");
  assertEquals(takeAll(delivery), [
    ["2", gap(["overflow", "reconnect"], 4_000, { downMs: 1_200, dropped: 1 })],
    "3",
  ]);
});

test("A message that pushes everything out tells all that was lost before it", () => {
  const { delivery, owner } = newDelivery({ maxQueuedBytes: 4 });
  deliver(delivery, "a", "b");
  delivery.lost(4_500);
  delivery.recovered(owner.clock.ms);
  owner.clock.ms = 5_010;
  deliver(delivery, "oversized");
  assertEquals(takeAll(delivery), [
    ["oversized", gap(["overflow", "reconnect"], 4_500, { downMs: 500, dropped: 2 })],
  ]);
});

test("A message that is shared between streams is not written to when one of them has a gap to tell", () => {
  const { delivery } = newDelivery({ maxQueuedMessages: 1 });
  const shared = Object.freeze(message("2"));
  deliver(delivery, "1");
  delivery.deliver(shared, 1);
  assertEquals(delivery.take()?.gap?.dropped, 1);
  assertStrictEquals(shared.gap, undefined);
});

test("Drops are told as an event at once, then once a second, none of them uncounted, also when no more comes", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 1 });
  deliver(delivery, "1", "2");
  assertEquals(owner.overflows, [1]);
  deliver(delivery, "3", "4");
  owner.clock.pass(999);
  deliver(delivery, "5");
  assertEquals(owner.overflows, [1]);
  owner.clock.pass(1);
  assertEquals(owner.overflows, [1, 3]);
  deliver(delivery, "6");
  owner.clock.pass(1_000);
  assertEquals(owner.overflows, [1, 3, 1]);
  assertEquals([delivery.counts().dropped, owner.clock.pending], [5, 1]);
  owner.clock.pass(1_000);
  assertEquals([owner.overflows, owner.clock.pending], [[1, 3, 1], 0]);
  deliver(delivery, "7");
  assertEquals(owner.overflows, [1, 3, 1, 1]);
});

test("An owner that ends the stream when it hears of drops leaves no timer", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 1 });
  owner.overflowed = () => delivery.end();
  deliver(delivery, "1", "2");
  assertEquals([delivery.state, owner.clock.pending], ["ended", 0]);
});

test("Whatever ends a stream tells the drops that no event has told, and leaves no timer", async () => {
  const ends: readonly ((delivery: ReturnType<typeof newDelivery>["delivery"]) => unknown)[] = [
    (delivery) => delivery.cancel("enough"),
    (delivery) => delivery.clear(),
    (delivery) => delivery.end(),
    (delivery) => delivery.fail(new Error("gone")),
  ];
  for (const end of ends) {
    const { delivery, owner } = newDelivery({ maxQueuedMessages: 1 });
    deliver(delivery, "1", "2", "3", "4");
    await end(delivery);
    assertEquals([owner.overflows, owner.clock.pending], [[1, 2], 0], String(end));
  }
});

test("A stream that blocks drops nothing: it tells when it is full, and when half of it is free again", () => {
  const { delivery, owner } = newDelivery({ overflow: "block", maxQueuedMessages: 4 });
  deliver(delivery, "1", "2", "3");
  assertEquals(owner.fullness, []);
  deliver(delivery, "4");
  assertEquals(owner.fullness, [true]);
  delivery.take();
  delivery.take();
  assertEquals(owner.fullness, [true]);
  delivery.take();
  assertEquals(owner.fullness, [true, false]);
  deliver(delivery, "5", "6", "7");
  assertEquals(owner.fullness, [true, false, true]);
  assertEquals([takeAll(delivery), delivery.counts().dropped], [["4", "5", "6", "7"], 0]);
  assertEquals(owner.fullness, [true, false, true, false]);
});

test("A stream that blocks is full of bytes, too", () => {
  const { delivery, owner } = newDelivery({ overflow: "block", maxQueuedBytes: 10 });
  deliver(delivery, "aaaaa", "bbbbb");
  assertEquals(owner.fullness, [true]);
  delivery.take();
  assertEquals(owner.fullness, [true]);
  delivery.take();
  assertEquals(owner.fullness, [true, false]);
});

test("A stream that blocks on one message of room is free again when it is empty", () => {
  const { delivery, owner } = newDelivery({ overflow: "block", maxQueuedMessages: 1 });
  deliver(delivery, "1");
  takeAll(delivery);
  assertEquals(owner.fullness, [true, false]);
});

test("A message that comes to a full stream that blocks is kept, and says again that it is full", () => {
  const { delivery, owner } = newDelivery({ overflow: "block", maxQueuedMessages: 2 });
  deliver(delivery, "1", "2");
  // A new connection knows nothing of what stopped the one before.
  deliver(delivery, "3");
  assertEquals(owner.fullness, [true, true]);
  assertEquals(takeAll(delivery), ["1", "2", "3"]);
  assertEquals(owner.fullness, [true, true, false]);
});

test("Whatever ends a full stream that blocks sets the socket free", async () => {
  const ends: readonly ((delivery: ReturnType<typeof newDelivery>["delivery"]) => unknown)[] = [
    (delivery) => delivery.cancel("enough"),
    (delivery) => delivery.clear(),
    (delivery) => delivery.fail(new Error("gone")),
  ];
  for (const end of ends) {
    const { delivery, owner } = newDelivery({ overflow: "block", maxQueuedMessages: 1 });
    deliver(delivery, "1");
    await end(delivery);
    assertEquals(owner.fullness, [true, false], String(end));
  }
});

test("A payload that cannot be decoded ends the stream, after what waits", async () => {
  const { delivery, owner } = newDelivery();
  const stream = new QueueStream(delivery);
  deliver(delivery, "1", "2");
  delivery.reject(new DecodeError("Cannot decode", { channel: "news" }));
  deliver(delivery, "3");
  assertEquals(owner.leavers, [delivery]);
  const payloads: string[] = [];
  await assertRejects(
    async () => {
      for await (const { payload } of stream) payloads.push(payload);
    },
    DecodeError,
    "Cannot decode",
  );
  assertEquals(payloads, ["1", "2"]);
  assertEquals(owner.leavers, [delivery]);
});

test("With onDecodeError: skip such a payload is left out, counted and told", () => {
  const { delivery, owner } = newDelivery({ onDecodeError: "skip" });
  const error = new DecodeError("Cannot decode", { channel: "news" });
  deliver(delivery, "1");
  delivery.reject(error);
  deliver(delivery, "2");
  assertEquals(takeAll(delivery), ["1", "2"]);
  assertEquals([owner.errors, owner.leavers, delivery.counts().skipped], [[error], [], 1]);
});

test("After its end a stream takes nothing, counts nothing and drops nothing", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 1 });
  deliver(delivery, "1");
  delivery.end();
  deliver(delivery, "2");
  assertEquals(takeAll(delivery), ["1"]);
  assertEquals([owner.overflows, delivery.counts()], [
    [],
    { delivered: 1, dropped: 0, skipped: 0, backfilled: 0, queued: 0, queuedBytes: 0 },
  ]);
});

test("A cancelled stream lets go of its messages, and its owner hears of it", async () => {
  const { delivery, owner } = newDelivery();
  deliver(delivery, "1", "2");
  await delivery.cancel("enough");
  assertEquals(delivery.counts(), { delivered: 0, dropped: 0, skipped: 0, backfilled: 0, queued: 0, queuedBytes: 0 });
  assertEquals(owner.leavers, [delivery]);
});

testUnless(CANNOT_COLLECT, "What is taken or dropped is not held any longer", async () => {
  const { delivery } = newDelivery({ maxQueuedMessages: 1_000 });
  const held: WeakRef<Message<string>>[] = [];
  (() => {
    for (let i = 0; i < 4_000; i++) {
      const made = message(String(i));
      held.push(new WeakRef(made));
      delivery.deliver(made, 1);
    }
    for (let i = 0; i < 500; i++) delivery.take();
  })();
  assertEquals([delivery.size, delivery.counts().dropped], [500, 3_000]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  collect?.();
  const left = held.filter((ref) => ref.deref() !== undefined).length;
  // A collector that takes every word on the stack for a pointer keeps a few by mistake.
  assert(left <= 520, `${left} of 4000 messages are held, 500 wait`);
});

test("Whatever comes, what is delivered and what is told to be dropped add up to what was received", () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant("deliver" as const), bytes: fc.nat(6) }),
    fc.constantFrom(...(["take", "lost", "recovered"] as const)).map((type) => ({ type })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (steps, limit) => {
      const { delivery, owner } = newDelivery({ maxQueuedMessages: limit, maxQueuedBytes: limit * 3 });
      let received = 0;
      let outages = 0;
      const taken: Message<string>[] = [];
      const take = () => {
        const got = delivery.take();
        if (got !== undefined) taken.push(got);
        return got !== undefined;
      };
      let state: "up" | "down" = "up";
      for (const step of steps) {
        owner.clock.ms += 10;
        if (step.type === "deliver") {
          delivery.deliver(message(String(++received)), step.bytes);
          state = "up";
        } else if (step.type === "take") take();
        else if (step.type === "recovered") {
          delivery.recovered(owner.clock.ms);
          state = "up";
        } else {
          if (state === "up") outages++;
          delivery.lost(owner.clock.ms);
          state = "down";
        }
        const { queued, queuedBytes } = delivery.counts();
        assert(queued <= limit && (queuedBytes <= limit * 3 || queued === 1));
      }
      // A last message, so that every gap has one to stand on.
      delivery.deliver(message(String(++received)), 0);
      while (take());
      let expected = 0;
      let told = 0;
      for (const { payload, gap } of taken) {
        expected += 1 + (gap?.dropped ?? 0);
        assertEquals(Number(payload), expected);
        if (gap !== undefined) assertEquals(gap.reasons.includes("overflow"), gap.dropped > 0);
        if (gap?.reasons.includes("reconnect")) told++;
      }
      assertEquals(expected, received);
      assert(outages === 0 ? told === 0 : told > 0 && told <= 2 * outages);
    }),
    { numRuns: 1_000, seed: 7 },
  );
});
