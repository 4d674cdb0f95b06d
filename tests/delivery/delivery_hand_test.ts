import { assertEquals, assertStrictEquals } from "@std/assert";
import type { Gap, GapReason, Message } from "../../src/message.ts";
import { QueueStream } from "../../src/stream/stream.ts";
import { test } from "../support/test.ts";
import { deliver, EPOCH, newDelivery } from "./fake_owner.ts";

/** A gap whose first loss was at `since` on the fake clock. */
function gap(reasons: GapReason[], since: number, downMs = 0): Gap {
  return { reasons, since: new Date(EPOCH + since), downMs, dropped: 0 };
}

test("A consumer that waits has the very message at once, past the queue, and it counts as delivered", async () => {
  const { delivery, owner } = newDelivery({ overflow: "block", maxQueuedMessages: 1 });
  const messages = new QueueStream(delivery.source).values();
  for (const payload of ["1", "2"]) {
    const next = messages.next();
    const shared: Message = { kind: "channel", channel: "news", pattern: undefined, payload, gap: undefined };
    delivery.deliver(shared, 1);
    assertEquals(delivery.counts().queued, 0);
    assertStrictEquals((await next).value, shared);
  }
  assertEquals(delivery.counts().delivered, 2);
  assertEquals(owner.fullness, []);
});

test("A consumer that waits is told of a gap, whenever it came to be", async () => {
  const { delivery, owner } = newDelivery();
  const messages = new QueueStream(delivery.source).values();
  const gaps: (Gap | undefined)[] = [];
  const next = async (change: () => void) => {
    const pending = messages.next();
    change();
    deliver(delivery, "a");
    const { value } = await pending;
    gaps.push(value?.gap);
  };
  await next(() => {});
  await next(() => delivery.lost(5_000));
  owner.clock.ms += 100;
  await next(() => delivery.recovered(owner.clock.ms));
  await next(() => delivery.giveGap(gap(["overflow"], 0)));
  await next(() => {});
  const lost = (downMs: number) => gap(["reconnect"], 5_000, downMs);
  assertEquals(gaps, [undefined, lost(0), lost(100), gap(["overflow"], 0), undefined]);
});
