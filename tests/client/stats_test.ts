import { assertEquals } from "@std/assert";
import { Tally } from "../../src/client/stats.ts";
import { deliver, EPOCH, newDelivery } from "../delivery/fake_owner.ts";
import { test } from "../support/test.ts";

test("The counts of all streams add up, those of streams that are gone included", () => {
  const tally = new Tally();
  const { delivery: gone, owner } = newDelivery({ maxQueuedMessages: 2 });
  deliver(gone, "1", "2", "3");
  gone.take();
  gone.clear();
  tally.keep(gone);
  const { delivery } = newDelivery();
  deliver(delivery, "1", "abc", "de");
  delivery.take();
  tally.received = 6;
  tally.lastMessage = 4_000;
  owner.clock.ms = 9_000;
  assertEquals(tally.sum([delivery], { reconnects: 7, unknownPushes: 3 }, owner.clock), {
    received: 6,
    delivered: 2,
    dropped: 1,
    skipped: 0,
    backfilled: 0,
    queued: 2,
    queuedBytes: 5,
    reconnects: 7,
    unknownPushes: 3,
    lastMessageAt: EPOCH + 4_000,
  });
});

test("Where no message came, none came last", () => {
  assertEquals(
    new Tally().sum([], { reconnects: 0, unknownPushes: 0 }, newDelivery().owner.clock).lastMessageAt,
    undefined,
  );
});
