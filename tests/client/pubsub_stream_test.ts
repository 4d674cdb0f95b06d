import { bytes, DecodeError, json, type Message, OverflowError, ReplyError } from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { all, isSettled, turn } from "../support/turn.ts";
import { onStage, payloads, take } from "./stage.ts";

const SUBSCRIPTIONS = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"];

/** The next `count` messages of a stream, which another reader may go on with. */
async function next<T>(stream: ReadableStream<Message<T>>, count: number): Promise<Message<T>[]> {
  const messages: Message<T>[] = [];
  const reader = stream.getReader();
  for (let step; messages.length < count && !(step = await reader.read()).done;) messages.push(step.value);
  reader.releaseLock();
  return messages;
}

onStage("A local stream has messages of its own names only, over the same connection", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const sport = pubsub.stream({ channels: "sport", patterns: ["s*", "t*"], shardChannels: ["shard"] });
  await pubsub.synced();
  assertEquals(stage.broker.connectionCount, 1);
  stage.broker.publish("sport", "1");
  stage.broker.publish("news", "2");
  stage.broker.spublish("shard", "3");
  assertEquals((await next(sport, 3)).map(({ kind, payload }) => `${kind} ${payload}`), [
    "channel 1",
    "pattern 1",
    "shard 3",
  ]);
  assertEquals(payloads(await take(pubsub, 1)), ["2"]);
  assert(sport instanceof ReadableStream);
});

onStage(
  "A name that several streams have is subscribed once, and unsubscribed when the last lets go",
  async (stage) => {
    const pubsub = await stage.client().subscribe("anchor");
    const streams = Array.from({ length: 5 }, () => pubsub.stream({ channels: ["news"], patterns: "n*" }));
    await pubsub.subscribe("news");
    assertEquals(stage.sent(...SUBSCRIPTIONS), ["SUBSCRIBE anchor", "SUBSCRIBE news", "PSUBSCRIBE n*"]);
    stage.broker.publish("news", "hello");
    for (const stream of streams) assertEquals((await next(stream, 2)).map(({ kind }) => kind), ["channel", "pattern"]);
    for (const stream of streams) await stream.cancel();
    assertEquals(stage.sent(...SUBSCRIPTIONS).slice(3), ["PUNSUBSCRIBE n*"]);
    await pubsub.unsubscribe("news");
    assertEquals(stage.sent(...SUBSCRIPTIONS).slice(4), ["UNSUBSCRIBE news"]);
    assertEquals(pubsub.subscriptions().map(({ name }) => name), ["anchor"]);
  },
);

onStage("Leaving the loop over a local stream waits for the server, and leaves the connection", async (stage) => {
  const pubsub = await stage.client().subscribe("anchor");
  const news = pubsub.stream({ channels: "news" });
  await pubsub.synced();
  stage.broker.publish("news", "hello");
  for await (const _ of news) break;
  assertEquals([stage.broker.subscriberCount("news"), stage.broker.subscriberCount("anchor")], [0, 1]);

  const sport = pubsub.stream({ channels: "sport" });
  await pubsub.synced();
  stage.broker.freeze();
  const cancelled = sport.cancel();
  assert(!await isSettled(cancelled));
  stage.broker.thaw();
  await cancelled;
  assertEquals(stage.broker.subscriberCount("sport"), 0);
});

onStage("cancel of a local stream does not wait longer than closeTimeoutMs", async (stage) => {
  const pubsub = await stage.client({ closeTimeoutMs: 5 }).subscribe("anchor");
  const news = pubsub.stream({ channels: "news" });
  await pubsub.synced();
  stage.broker.freeze();
  await news.cancel();
  assertEquals(pubsub.subscriptions().map(({ name, state }) => `${name} ${state}`), [
    "anchor subscribed",
    "news unsubscribing",
  ]);
});

onStage("Cancelling a local stream twice, and before its names are acknowledged, is harmless", async (stage) => {
  const pubsub = await stage.client().subscribe("anchor");
  const news = pubsub.stream({ channels: "news" });
  await Promise.all([news.cancel(), news.cancel()]);
  await pubsub.synced();
  assertEquals([stage.broker.subscriberCount("news"), await all(news)], [0, []]);
});

onStage("A local stream may have a codec and a queue of its own", async (stage) => {
  const pubsub = await stage.client().subscribe<Uint8Array>("anchor", { codec: bytes });
  const inherited = pubsub.stream({ channels: "n" });
  const numbers = pubsub.stream<number>({ channels: "n" }, { codec: json, maxQueuedMessages: 1 });
  await pubsub.synced();
  stage.broker.publish("n", "1");
  stage.broker.publish("n", "2");
  await turn();
  assertEquals(payloads(await next(inherited, 2)), [Uint8Array.of(0x31), Uint8Array.of(0x32)]);
  const [message] = await next(numbers, 1);
  assertEquals([message!.payload, message!.gap?.dropped, message!.gap?.reasons], [2, 1, ["overflow"]]);
});

onStage("A slow local stream holds up no other, and its drops are told to it alone", async (stage) => {
  const pubsub = await stage.client().subscribe("n");
  const slow = pubsub.stream({ channels: "n" }, { maxQueuedMessages: 10 });
  await pubsub.synced();
  for (let i = 0; i < 100; i++) stage.broker.publish("n", String(i));
  await turn();
  const main = await take(pubsub, 100);
  assertEquals([main.length, main.some(({ gap }) => gap !== undefined)], [100, false]);
  const [first, ...rest] = await next(slow, 10);
  assertEquals([first!.payload, first!.gap?.dropped], ["90", 90]);
  assertEquals(
    rest.map(({ payload, gap }) => [payload, gap]),
    [91, 92, 93, 94, 95, 96, 97, 98, 99].map((n) => {
      return [String(n), undefined];
    }),
  );
});

onStage("A payload that one stream cannot decode ends that stream, and no other", async (stage) => {
  const pubsub = await stage.client().subscribe("n");
  const strict = pubsub.stream<number>({ channels: "n" }, { codec: json });
  await pubsub.synced();
  for (const payload of ["1", "{", "2"]) stage.broker.publish("n", payload);
  await turn();
  const reader = strict.getReader();
  assertEquals((await reader.read()).value?.payload, 1);
  await assertRejects(() => reader.read(), DecodeError);
  assertEquals(payloads(await take(pubsub, 3)), ["1", "{", "2"]);
  await pubsub.unsubscribe();
  assertEquals(stage.broker.subscriberCount("n"), 0);
});

onStage("A local stream fails when the server refuses a name of it, and lets go of the others", async (stage) => {
  stage.broker.refuse("SUBSCRIBE", "NOPERM No permissions to access a channel", { name: "secret" });
  const pubsub = await stage.client().subscribe("anchor");
  const refused = pubsub.stream({ channels: ["open", "secret"] });
  const error = await assertRejects(() => refused.getReader().closed, ReplyError, '"secret"');
  assertInstanceOf(error, ReplyError);
  assertEquals([error.code, error.channel], ["NOPERM", "secret"]);
  await pubsub.synced();
  await turn();
  assertEquals(pubsub.subscriptions().map(({ name }) => name), ["anchor"]);
  assertEquals([stage.broker.subscriberCount("open"), stage.broker.subscriberCount("anchor")], [0, 1]);
});

onStage(
  "The first connection may be opened by a local stream; where it fails the stream fails with the cause",
  async (stage) => {
    const pubsub = stage.client().pubsub();
    stage.broker.refuseConnections();
    const failed = pubsub.stream({ channels: "news" });
    await assertRejects(() => failed.getReader().closed, Error, "Cannot connect to localhost:6379");
    assertEquals(pubsub.subscriptions(), []);
    stage.broker.acceptConnections();
    const news = pubsub.stream({ channels: "news" });
    await pubsub.synced();
    stage.broker.publish("news", "hello");
    assertEquals(payloads(await next(news, 1)), ["hello"]);
  },
);

onStage("A local stream lives on when the server comes back, and is told what it may have missed", async (stage) => {
  const pubsub = await stage.client().subscribe("anchor");
  const news = pubsub.stream({ channels: "news" });
  await pubsub.synced();
  await stage.blink(pubsub);
  stage.broker.publish("news", "hello");
  const [message] = await next(news, 1);
  assertEquals([message!.payload, message!.gap?.reasons], ["hello", ["reconnect"]]);
});

onStage("A stream that is made while the connection is down has missed nothing", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  stage.broker.refuseConnections();
  stage.broker.disconnectAll();
  await stage.hears("disconnected");
  const late = pubsub.stream({ channels: ["news", "sport"] });
  stage.broker.acceptConnections();
  await stage.hears("ready", 2);
  await pubsub.synced();
  for (const channel of ["news", "sport"]) stage.broker.publish(channel, channel);
  assertEquals((await next(late, 2)).map(({ payload, gap }) => [payload, gap]), [["news", undefined], [
    "sport",
    undefined,
  ]]);
  assertEquals((await take(pubsub, 1))[0]!.gap?.reasons, ["reconnect"]);
});

onStage("Closing ends every local stream, and none can be made afterwards", async (stage) => {
  const pubsub = await stage.client().subscribe("anchor");
  const open = pubsub.stream({ channels: "news" });
  await pubsub.synced();
  stage.broker.publish("news", "dropped");
  await turn();
  await pubsub.close();
  assertEquals(await all(open), []);
  assertThrows(() => pubsub.stream({ channels: "news" }), TypeError, "the PubSub is closed");
});

onStage("drain() lets every local stream deliver what waits", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const local = pubsub.stream({ channels: "news" });
  await pubsub.synced();
  for (const payload of ["1", "2"]) stage.broker.publish("news", payload);
  const drained = pubsub.drain();
  assertEquals(payloads(await all(local)), ["1", "2"]);
  assert(!await isSettled(drained));
  assertEquals(payloads(await all(pubsub.readable)), ["1", "2"]);
  await drained;
});

onStage("stats() is of all streams together, also of those that are gone", async (stage) => {
  const pubsub = await stage.client().subscribe("n");
  const gone = pubsub.stream({ channels: "n" }, { maxQueuedMessages: 1 });
  await pubsub.synced();
  for (const payload of ["1", "2", "3"]) stage.broker.publish("n", payload);
  await turn();
  await next(gone, 1);
  await gone.cancel();
  const { received, delivered, dropped, queued } = pubsub.stats();
  assertEquals({ received, delivered, dropped, queued }, { received: 3, delivered: 1, dropped: 2, queued: 3 });
});

onStage("A payload that the main stream cannot decode ends that stream, and no other", async (stage) => {
  const pubsub = await stage.client().subscribe<number>("n", { codec: json });
  const local = pubsub.stream<Uint8Array>({ channels: "n" }, { codec: bytes });
  await pubsub.synced();
  for (const payload of ["1", "{"]) stage.broker.publish("n", payload);
  await turn();
  const reader = local.getReader();
  assertEquals((await reader.read()).value?.payload, Uint8Array.of(0x31));
  assertEquals((await reader.read()).value?.payload, Uint8Array.of(0x7b));
  assertEquals(payloads(await take(pubsub, 1)), [1]);
  await assertRejects(() => pubsub.readable.getReader().read(), DecodeError, '"n"');
  stage.broker.publish("n", "2");
  assertEquals((await reader.read()).value?.payload, Uint8Array.of(0x32));
  await pubsub.close();
  assertEquals((await reader.read()).done, true);
});

onStage('With overflow: "error" a full queue ends its stream after what waits, and no other', async (stage) => {
  for (const which of ["main", "local"]) {
    const strict = { overflow: "error", maxQueuedMessages: 2 } as const;
    const pubsub = await stage.client().subscribe("n", which === "main" ? strict : {});
    const local = pubsub.stream({ channels: "n" }, which === "local" ? strict : {});
    await pubsub.synced();
    for (const payload of ["1", "2", "3"]) stage.broker.publish("n", payload);
    await turn();
    const [full, other] = (which === "main" ? [pubsub.readable, local] : [local, pubsub.readable])
      .map((stream) => stream.getReader());
    assertEquals([(await full!.read()).value?.payload, pubsub.stats().delivered], ["1", 1]);
    assertEquals([(await full!.read()).value?.payload, pubsub.stats().delivered], ["2", 2]);
    await assertRejects(() => full!.read(), OverflowError, "2 messages, 2 bytes");
    stage.broker.publish("n", "4");
    const taken: (string | undefined)[] = [];
    while (taken.length < 4) taken.push((await other!.read()).value?.payload);
    assertEquals([taken, pubsub.stats().dropped, pubsub.subscriptions().length], [["1", "2", "3", "4"], 1, 1]);
    await pubsub.close();
    assertEquals(pubsub.stats().delivered, 6);
  }
});

onStage("A lone stream whose queue is full ends its subscriber", async (stage) => {
  const pubsub = await stage.client().subscribe("n", { overflow: "error", maxQueuedMessages: 1 });
  for (const payload of ["1", "2"]) stage.broker.publish("n", payload);
  await turn();
  const reader = pubsub.readable.getReader();
  assertEquals((await reader.read()).value?.payload, "1");
  await assertRejects(() => reader.read(), OverflowError);
  await stage.hears("closed");
  assertEquals(stage.events.filter(({ type }) => type === "overflow" || type === "closed").map(({ type }) => type), [
    "overflow",
    "closed",
  ]);
});

onStage(
  "A gap is filled in its place, on the main stream and on local ones, each by its own backfill",
  async (stage) => {
    const log: string[] = [];
    const backfill = async function* (): AsyncGenerator<Message> {
      for (const payload of log) yield { kind: "channel", channel: "n", pattern: undefined, payload, gap: undefined };
    };
    const pubsub = await stage.client().subscribe("n", { backfill });
    const local = pubsub.stream({ channels: "n" }, { backfill: () => undefined });
    await pubsub.synced();
    log.push("missed");
    await stage.blink(pubsub);
    stage.broker.publish("n", "new");
    const tell = ({ payload, gap }: Message) => [payload, gap?.backfill, gap?.reasons];
    assertEquals((await take(pubsub, 2)).map(tell), [["missed", undefined, undefined], ["new", "filled", [
      "reconnect",
    ]]]);
    assertEquals((await next(local, 1)).map(tell), [["new", "unfilled", ["reconnect"]]]);
    assertEquals(pubsub.stats().backfilled, 1);
  },
);

onStage("A backfill that fails is told as an event; one that hangs ends with its subscriber", async (stage) => {
  const signals: AbortSignal[] = [];
  const pubsub = await stage.client().subscribe("n", {
    backfill: (_, signal) => {
      signals.push(signal);
      if (signals.length === 1) throw new Error("no log");
      return { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
    },
  });
  const reader = pubsub.readable.getReader();
  const first = reader.read();
  await stage.blink(pubsub);
  stage.broker.publish("n", "1");
  assertEquals((await first).value?.gap?.backfill, "unfilled");
  assertEquals(stage.heard("error").map(({ error }) => error.message), ["A gap could not be filled"]);
  const second = reader.read();
  await stage.blink(pubsub);
  stage.broker.publish("n", "2");
  await turn();
  assertEquals([signals.length, signals[1]?.aborted], [2, false]);
  await pubsub.close();
  assertEquals([(await second).done, signals[1]?.aborted, stage.heard("error").length], [true, true, 1]);
});
