import { assertEquals } from "@std/assert";
import { Tally } from "../../src/client/stats.ts";
import type { Counts } from "../../src/delivery/delivery.ts";
import { deliver, EPOCH, FakeClock, newDelivery, takeAll } from "../delivery/fake_owner.ts";
import { test } from "../support/test.ts";

/** A stream that counted so. */
function stream(counts: Partial<Counts>) {
  const zero = { delivered: 0, dropped: 0, skipped: 0, backfilled: 0, queued: 0, queuedBytes: 0 };
  return { counts: () => ({ ...zero, ...counts }) };
}

test("The counts of all streams add up, those of streams that are gone included", () => {
  const tally = new Tally();
  tally.keep({
    countInto(past) {
      past.delivered += 1;
      past.dropped += 2;
      past.skipped += 3;
      past.backfilled += 4;
    },
  });
  tally.received = 6;
  tally.lastMessage = 4_000;
  const clock = new FakeClock();
  clock.ms = 9_000;
  const streams = [
    stream({ delivered: 10, dropped: 20, skipped: 30, backfilled: 40, queued: 50, queuedBytes: 60 }),
    stream({ delivered: 100, dropped: 200, skipped: 300, backfilled: 400, queued: 500, queuedBytes: 600 }),
  ];
  assertEquals(tally.sum(streams, { reconnects: 7, unknownPushes: 3 }, clock), {
    received: 6,
    delivered: 111,
    dropped: 222,
    skipped: 333,
    backfilled: 444,
    queued: 550,
    queuedBytes: 660,
    reconnects: 7,
    unknownPushes: 3,
    lastMessageAt: EPOCH + 4_000,
  });
});

test("What is taken from a stream after it has gone counts, and nothing counts twice", () => {
  const tally = new Tally();
  const counts = () => {
    const { delivered, dropped } = tally.sum([], { reconnects: 0, unknownPushes: 0 }, new FakeClock());
    return [delivered, dropped];
  };
  for (const gone of [0, 1]) {
    const { delivery } = newDelivery({ maxQueuedMessages: 4, overflow: "error" });
    deliver(delivery, "1");
    delivery.take();
    deliver(delivery, "2", "3", "4", "5", "6");
    assertEquals(delivery.state, "failed");
    tally.keep(delivery);
    assertEquals(counts(), [5 * gone + 1, gone + 1]);
    delivery.take();
    delivery.takeMany(2);
    assertEquals(counts(), [5 * gone + 4, gone + 1]);
    takeAll(delivery);
    assertEquals(counts(), [5 * gone + 5, gone + 1]);
  }
});

test("Where no message came, none came last", () => {
  assertEquals(new Tally().sum([], { reconnects: 0, unknownPushes: 0 }, new FakeClock()).lastMessageAt, undefined);
});
