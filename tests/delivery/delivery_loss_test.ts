import { assertEquals } from "@std/assert";
import type { Gap, GapReason } from "../../src/message.ts";
import { test } from "../support/test.ts";
import { deliver, EPOCH, newDelivery, takeAll } from "./fake_owner.ts";

/** A gap since `since` on the fake clock. */
function gap(reasons: GapReason[], since: number, downMs: number): Gap {
  return { reasons, since: new Date(EPOCH + since), downMs, dropped: 0 };
}

test("A message that comes before every name is back carries the gap so far, and the next one after that the whole", () => {
  const { delivery, owner } = newDelivery();
  delivery.lost(5_000);
  owner.clock.ms = 5_250;
  deliver(delivery, "1", "2");
  owner.clock.ms = 6_000;
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "3", "4");
  assertEquals(takeAll(delivery), [
    ["1", gap(["reconnect"], 5_000, 250)],
    "2",
    ["3", gap(["reconnect"], 5_000, 1_000)],
    "4",
  ]);
});

test("A stream that has not got back every name goes on losing, and is told so when it has", () => {
  const { delivery, owner } = newDelivery();
  delivery.lost(5_000);
  delivery.recovered(owner.clock.ms, true);
  owner.clock.ms = 7_000;
  delivery.lost(6_900);
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "1");
  assertEquals(takeAll(delivery), [["1", gap(["reconnect", "denied"], 5_000, 2_000)]]);
});

test("Of two names that were refused each is told when it is back, and the time that both were away counts once", () => {
  const { delivery, owner } = newDelivery();
  delivery.lost(5_000);
  delivery.recovered(owner.clock.ms, true);
  deliver(delivery, "1");
  owner.clock.ms = 7_000;
  delivery.recovered(owner.clock.ms, true, true);
  deliver(delivery, "2");
  owner.clock.ms = 9_000;
  delivery.recovered(owner.clock.ms, false, true);
  deliver(delivery, "3", "4");
  const [, second, third, fourth] = takeAll(delivery);
  assertEquals([second, third, fourth], [
    ["2", gap(["reconnect", "denied"], 5_000, 2_000)],
    ["3", gap(["reconnect", "denied"], 5_000, 4_000)],
    "4",
  ]);
});

test("A loss that was told twice, on messages that were dropped, counts once beside an older one", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 1 });
  const lose = (since: number, until: number) => {
    delivery.lost(since);
    owner.clock.ms = until - 100;
    deliver(delivery, "before every name is back");
    owner.clock.ms = until;
    delivery.recovered(until);
    deliver(delivery, "after");
  };
  lose(5_000, 5_300);
  lose(10_000, 10_500);
  assertEquals(takeAll(delivery), [
    ["after", { ...gap(["reconnect", "overflow"], 5_000, 300 + 500), dropped: 3 }],
  ]);
});

test("A connection that is lost before every name was back is told, too, on the first message after it", () => {
  const { delivery, owner } = newDelivery();
  delivery.lost(5_000);
  owner.clock.ms = 5_250;
  deliver(delivery, "1");
  owner.clock.ms = 5_900;
  delivery.lost(5_800);
  owner.clock.ms = 6_400;
  deliver(delivery, "2", "3");
  owner.clock.ms = 7_000;
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "4", "5");
  assertEquals(takeAll(delivery), [
    ["1", gap(["reconnect"], 5_000, 250)],
    ["2", gap(["reconnect"], 5_000, 1_400)],
    "3",
    ["4", gap(["reconnect"], 5_000, 2_000)],
    "5",
  ]);
});
