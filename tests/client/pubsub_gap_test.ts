import { ConnectionError, type Message, text } from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { all, isSettled, turn } from "../support/turn.ts";
import { until } from "../support/until.ts";
import { AT_ONCE, onStage, payloads, take } from "./stage.ts";

onStage("A lost connection is told at once as an event, and in place on the next message", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const before = Date.now();
  stage.broker.publish("news", "before");
  await turn();
  await stage.blink(pubsub);
  const [event] = stage.heard("gap");
  assertEquals([event?.gap.reasons, event?.gap.dropped], [["reconnect"], 0]);
  stage.broker.publish("news", "after");
  stage.broker.publish("news", "later");
  const [first, second, third] = await take(pubsub, 3);
  assertEquals([first!.payload, first!.gap], ["before", undefined]);
  assertEquals([second!.payload, second!.gap?.reasons, second!.gap?.dropped], ["after", ["reconnect"], 0]);
  assertEquals([third!.payload, third!.gap], ["later", undefined]);
  const { since, downMs } = second!.gap!;
  assert(since.getTime() >= before - 5 && since.getTime() <= Date.now());
  assert(downMs >= 0 && downMs < 60_000);
  assertEquals([stage.heard("gap").length, pubsub.stats().reconnects], [1, 1]);
});

onStage("A gap ends when the subscription stands again, however late the next message comes", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  await stage.blink(pubsub);
  const later = performance.now() + 20;
  await until("time passes", 1_000, () => performance.now() > later);
  stage.broker.publish("news", "hello");
  const [message] = await take(pubsub, 1);
  assertEquals(message!.gap?.downMs, stage.heard("gap")[0]?.gap.downMs);
});

onStage("The events of a lost connection come in their order, each with endpoint and time", async (stage) => {
  const pubsub = await stage.client({ host: "redis.test", port: 7 }).subscribe("news");
  const events = pubsub.events();
  await stage.blink(pubsub);
  await pubsub.close();
  const told = await all(events);
  assertEquals(told.map(({ type }) => type), [
    "disconnected",
    "reconnecting",
    "connecting",
    "connected",
    "subscribed",
    "ready",
    "gap",
    "unsubscribed",
    "closed",
  ]);
  for (const event of told) {
    assertEquals(event.endpoint ?? "redis.test:7", "redis.test:7");
    assert(Math.abs(Date.now() - event.at) < 60_000);
  }
  assertEquals(stage.heard("connected").map(({ protocol }) => protocol), [stage.protocol, stage.protocol]);
  assertInstanceOf(stage.heard("disconnected")[0]?.error, ConnectionError);
});

onStage("A second connection that is lost, too, makes one gap, and one event when it is over", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  stage.broker.refuseConnections();
  stage.broker.disconnectAll();
  await stage.hears("reconnecting", 5);
  stage.broker.acceptConnections();
  await stage.hears("ready", 2);
  await pubsub.synced();
  stage.broker.publish("news", "hello");
  const [message] = await take(pubsub, 1);
  assertEquals([message!.gap?.reasons, stage.heard("gap").length], [["reconnect"], 1]);
  assertEquals(stage.heard("reconnecting").slice(0, 3).map(({ attempt }) => attempt), [1, 2, 3]);
});

onStage("Every wanted name is subscribed again, and unwanted ones are not", async (stage) => {
  const pubsub = stage.client().pubsub();
  await pubsub.subscribe(["a", "b", "c"]);
  await pubsub.psubscribe("p*");
  await pubsub.ssubscribe("s");
  stage.broker.refuseConnections();
  stage.broker.disconnectAll();
  await stage.hears("disconnected");
  await pubsub.unsubscribe("b");
  const subscribed = pubsub.subscribe("d");
  assert(!await isSettled(subscribed));
  assertEquals(pubsub.subscriptions().map(({ name, state }) => `${name} ${state}`), [
    "a pending",
    "c pending",
    "d pending",
    "p* pending",
    "s pending",
  ]);
  stage.broker.acceptConnections();
  await subscribed;
  await pubsub.synced();
  const counts = ["a", "b", "c", "d"].map((name) => stage.broker.subscriberCount(name));
  assertEquals([counts, stage.broker.patternCount(), stage.broker.shardSubscriberCount("s")], [[1, 0, 1, 1], 1, 1]);
});

onStage("synced() waits for the names of the live connection", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  await pubsub.synced();
  stage.broker.refuseConnections();
  stage.broker.disconnectAll();
  const synced = pubsub.synced();
  assert(!await isSettled(synced));
  await assertRejects(() => pubsub.synced({ timeoutMs: 1 }), Error, "synced");
  stage.broker.acceptConnections();
  await synced;
  assertEquals(stage.broker.subscriberCount("news"), 1);
});

onStage("synced() right after a loss that nobody has noticed yet means the next connection", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  for (let i = 0; i < 20; i++) {
    stage.broker.disconnectAll();
    await pubsub.synced();
    assertEquals(stage.broker.publish("news", String(i)), 1);
  }
  assertEquals(payloads(await take(pubsub, 20)), Array.from({ length: 20 }, (_, i) => String(i)));
});

onStage("Messages keep their order over connections that are lost, and every loss is told", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const expected: string[] = [];
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 10; i++) {
      expected.push(`${round}.${i}`);
      stage.broker.publish("news", `${round}.${i}`);
    }
    await turn();
    await stage.blink(pubsub);
  }
  const messages = await take(pubsub, 100);
  assertEquals(payloads(messages), expected);
  const gaps = messages.filter(({ gap }) => gap !== undefined).map(({ payload }) => payload);
  assertEquals(gaps, Array.from({ length: 9 }, (_, i) => `${i + 1}.0`));
});

onStage("With reconnect: false a lost connection ends every stream with the cause, after what waits", async (stage) => {
  const pubsub = await stage.client({ reconnect: false }).subscribe("news");
  const local = pubsub.stream({ channels: "news" });
  await pubsub.synced();
  for (const payload of ["1", "2"]) stage.broker.publish("news", payload);
  await turn();
  stage.broker.disconnectAll();
  await stage.hears("closed");
  for (const stream of [pubsub.readable, local]) {
    const received: string[] = [];
    await assertRejects(
      async () => {
        for await (const { payload } of stream) received.push(payload);
      },
      ConnectionError,
      "Lost the connection",
    );
    assertEquals(received, ["1", "2"]);
  }
  await assertRejects(() => pubsub.subscribe("other"), ConnectionError, "closed");
  assertEquals(stage.heard("closed").length, 1);
});

onStage("After maxAttempts every stream ends with the last cause; a call that waits gets it, too", async (stage) => {
  const pubsub = await stage.client({ reconnect: { ...AT_ONCE, maxAttempts: 3 } }).subscribe("news");
  const events = pubsub.events();
  stage.broker.refuseConnections();
  stage.broker.disconnectAll();
  await assertRejects(() => pubsub.subscribe("other"), ConnectionError, "Cannot connect to localhost:6379");
  const error = await assertRejects(() => pubsub.readable.getReader().read(), ConnectionError);
  assertEquals(error.endpoint, "localhost:6379");
  assertEquals(stage.heard("connecting").length, 4);
  assertEquals((await all(events)).at(-1)?.type, "closed");
});

onStage("A good connection gives all attempts back", async (stage) => {
  const pubsub = await stage.client({ reconnect: { ...AT_ONCE, maxAttempts: 1 } }).subscribe("news");
  for (let i = 0; i < 5; i++) await stage.blink(pubsub);
  assertEquals(pubsub.stats().reconnects, 5);
});

onStage("A first connection that fails leaves nothing behind, and a later call works", async (stage) => {
  const redis = stage.client();
  const pubsub = redis.pubsub();
  stage.broker.refuseConnections();
  await assertRejects(() => pubsub.subscribe("news"), ConnectionError, "Cannot connect to localhost:6379");
  await assertRejects(() => redis.subscribe("news"), ConnectionError, "Cannot connect to localhost:6379");
  assertEquals([pubsub.subscriptions(), pubsub.readable.locked], [[], false]);
  stage.broker.acceptConnections();
  await pubsub.subscribe("sport");
  assertEquals([stage.broker.subscriberCount("news"), stage.broker.subscriberCount("sport")], [0, 1]);
});

onStage("With waitOnFirstConnect the first subscribe keeps trying", async (stage) => {
  const pubsub = stage.client({ waitOnFirstConnect: true }).pubsub();
  stage.broker.refuseConnections();
  const subscribed = pubsub.subscribe("news");
  await stage.hears("reconnecting", 3);
  stage.broker.acceptConnections();
  await subscribed;
  stage.broker.publish("news", "hello");
  assertEquals((await take(pubsub, 1)).map(({ payload, gap }) => [payload, gap]), [["hello", undefined]]);
  assertEquals([stage.heard("gap").length, pubsub.stats().reconnects], [0, 0]);
});

onStage("Backpressure: a stream that blocks stops the socket, and loses nothing", async (stage) => {
  const pubsub = await stage.client().subscribe("news", { overflow: "block", maxQueuedMessages: 10 });
  for (let i = 0; i < 200; i++) {
    stage.broker.publish("news", String(i));
    await Promise.resolve();
  }
  await turn();
  const { queued, received, dropped } = pubsub.stats();
  assertEquals({ queued, received, dropped }, { queued: 10, received: 10, dropped: 0 });
  const messages: Message[] = await take(pubsub, 200);
  assertEquals(payloads(messages), Array.from({ length: 200 }, (_, i) => String(i)));
});

onStage("Of two streams that block the fuller one decides", async (stage) => {
  const pubsub = await stage.client().subscribe("news", { overflow: "block", maxQueuedMessages: 4 });
  const local = pubsub.stream({ channels: "news" }, { overflow: "block", maxQueuedMessages: 8 });
  await pubsub.synced();
  for (let i = 0; i < 50; i++) {
    stage.broker.publish("news", String(i));
    await Promise.resolve();
  }
  const received: string[] = [];
  while (received.length < 8) {
    await turn();
    received.push(...payloads(await take(pubsub, 4)));
  }
  await turn();
  assertEquals(pubsub.stats().received, 8);
  const rest = Promise.all([all(pubsub.readable), all(local)]);
  await until("all has come", 5_000, () => pubsub.stats().received === 50);
  await pubsub.drain();
  const [main, other] = await rest;
  const expected = Array.from({ length: 50 }, (_, i) => String(i));
  assertEquals([received.concat(payloads(main)), payloads(other)], [expected, expected]);
});

onStage("A stream that blocks stays bounded when its connection is replaced", async (stage) => {
  const pubsub = await stage.client().subscribe("news", { overflow: "block", maxQueuedMessages: 4 });
  for (let i = 0; i < 4; i++) stage.broker.publish("news", String(i));
  await turn();
  stage.broker.disconnectAll();
  // Nobody reads, so it is a write that notices.
  const subscribed = pubsub.subscribe("other");
  await stage.hears("disconnected");
  await until("subscribed again", 5_000, () => stage.broker.subscriberCount("news") === 1);
  await subscribed;
  for (let i = 4; i < 100; i++) {
    stage.broker.publish("news", String(i));
    await Promise.resolve();
  }
  await turn();
  assert(pubsub.stats().queued <= 5, `${pubsub.stats().queued} wait`);
  assertEquals(payloads(await take(pubsub, 100)), Array.from({ length: 100 }, (_, i) => String(i)));
});

onStage("A name that is granted later recovers by itself; its streams are told at once and in place", async (stage) => {
  const redis = stage.client({ denied: { retryMs: 20 } });
  const pubsub = await redis.subscribe(["kept", "taken"]);
  const reader = pubsub.stream({ channels: "taken" }, { codec: text }).getReader();
  await pubsub.synced();
  stage.broker.refuse("SUBSCRIBE", "NOPERM No permissions to access a channel", { name: "taken" });
  stage.broker.disconnectAll();
  await stage.hears("denied");
  await stage.hears("gap");
  stage.broker.publish("kept", "1");
  await until("several refusals", 5_000, () => stage.sent("SUBSCRIBE").length >= 8);
  assertEquals([stage.heard("denied").length, stage.heard("gap").length], [1, 1]);
  stage.broker.allow("SUBSCRIBE");
  await stage.hears("gap", 2);
  assertEquals(stage.heard("gap").map(({ gap }) => gap.reasons), [["reconnect"], ["reconnect", "denied"]]);
  stage.broker.publish("kept", "2");
  stage.broker.publish("taken", "3");
  const [first, second] = await take(pubsub, 2);
  assertEquals([first?.payload, first?.gap?.reasons], ["1", ["reconnect", "denied"]]);
  assertEquals([second?.payload, second?.gap?.reasons], ["2", ["reconnect", "denied"]]);
  const { value } = await reader.read();
  assertEquals([value?.payload, value?.gap?.reasons], ["3", ["reconnect", "denied"]]);
  // The time without it counts, up to where it was there again.
  assert(value!.gap!.downMs >= first!.gap!.downMs);
});
