/** What is told last, and how long draining may take. */
import { TimeoutError } from "../../src/errors.ts";
import { TestBroker } from "@earshot/redis/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { resolveOptions } from "../../src/client/options.ts";
import { PubSub } from "../../src/client/pubsub.ts";
import { standalone } from "../../src/topology/standalone.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { isSettled, turn } from "../support/turn.ts";
import { onStage, take } from "./stage.ts";

onStage("The last event is that it is closed, after the drops that were not told yet", async (stage) => {
  for (const end of ["drain", "close"] as const) {
    const before = stage.events.length;
    const pubsub = await stage.client().subscribe("n", { maxQueuedMessages: 1 });
    for (const payload of ["1", "2", "3", "4"]) stage.broker.publish("n", payload);
    await turn();
    const ending = pubsub[end]();
    if (end === "drain") await take(pubsub, 1);
    await ending;
    const told = stage.events.slice(before).filter(({ type }) => type === "overflow" || type === "closed");
    assertEquals(told.map((event) => event.type === "overflow" ? event.dropped : event.type), [1, 2, "closed"]);
  }
});

test("drain() gives up after 30 seconds when nobody takes what waits, unless it is told otherwise", async () => {
  for (const timeoutMs of [undefined, 60_000]) {
    await using broker = new TestBroker();
    const clock = new ManualClock();
    const settings = resolveOptions({ dial: broker.dial, keepAlive: false });
    const pubsub = new PubSub(
      { ...settings, link: { ...settings.link, clock } },
      standalone(settings.endpoint),
      {},
      () => {},
    );
    await pubsub.subscribe("n");
    broker.publish("n", "1");
    await turn();
    const drained = pubsub.drain(timeoutMs === undefined ? {} : { timeoutMs });
    drained.catch(() => {});
    await turn();
    await clock.advance((timeoutMs ?? 30_000) - 1);
    assertEquals(await isSettled(drained), false);
    await clock.advance(1);
    await assertRejects(() => drained, TimeoutError, `${timeoutMs ?? 30_000} ms: drain`);
    assertEquals(clock.pending, 0);
  }
});
