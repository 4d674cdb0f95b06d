import { bytes, DecodeError, json, type Message, PubSub, ReplyError, TimeoutError } from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { all, isSettled, turn } from "../support/turn.ts";
import { onStage, payloads, take } from "./stage.ts";

const NOPERM = "NOPERM No permissions to access a channel";

onStage("A subscription is made when subscribe resolves, and its messages come in order", async (stage) => {
  const redis = stage.client();
  const news = await redis.subscribe("news");
  assertInstanceOf(news as unknown, PubSub as unknown as typeof Error);
  assertEquals(stage.broker.subscriberCount("news"), 1);
  for (let i = 0; i < 100; i++) stage.broker.publish("news", String(i));
  assertEquals(payloads(await take(news, 100)), Array.from({ length: 100 }, (_, i) => String(i)));
});

onStage("A message tells its kind, channel, pattern and payload", async (stage) => {
  const redis = stage.client();
  const everything = redis.pubsub();
  await everything.subscribe("news");
  await everything.psubscribe("n*s");
  await everything.ssubscribe("news");
  stage.broker.publish("news", "a");
  stage.broker.spublish("news", "b");
  const message: Message = { kind: "channel", channel: "news", pattern: undefined, payload: "a", gap: undefined };
  assertEquals(await take(everything, 3), [
    message,
    { ...message, kind: "pattern", pattern: "n*s" },
    { ...message, kind: "shard", payload: "b" },
  ]);
});

onStage(
  "client.subscribe, psubscribe and ssubscribe each make a subscriber with a connection of its own",
  async (stage) => {
    const redis = stage.client();
    await redis.subscribe(["a", "b"]);
    await redis.psubscribe("p*");
    await redis.ssubscribe("s");
    assertEquals(stage.broker.connectionCount, 3);
    assertEquals(stage.sent("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"), [
      "SUBSCRIBE a",
      "SUBSCRIBE b",
      "PSUBSCRIBE p*",
      "SSUBSCRIBE s",
    ]);
  },
);

onStage("Making a client and a subscriber does no I/O; the first name connects", async (stage) => {
  const pubsub = stage.client().pubsub();
  const events = pubsub.events();
  await turn();
  assertEquals([stage.broker.connectionCount, stage.events, pubsub.subscriptions()], [0, [], []]);
  await pubsub.synced();
  assertEquals(stage.broker.connectionCount, 0);
  await pubsub.subscribe("news");
  assertEquals(stage.broker.connectionCount, 1);
  await events.cancel();
});

onStage("subscribe waits for the server's acknowledgement of every name", async (stage) => {
  const pubsub = await stage.client().subscribe("first");
  stage.broker.freeze();
  const subscribed = pubsub.subscribe(["second", "third"]);
  const patterned = pubsub.psubscribe("p*");
  assert(!await isSettled(subscribed) && !await isSettled(patterned));
  assertEquals(pubsub.subscriptions().map(({ name, state }) => `${name} ${state}`), [
    "first subscribed",
    "second pending",
    "third pending",
    "p* pending",
  ]);
  stage.broker.thaw();
  await Promise.all([subscribed, patterned]);
  assertEquals(pubsub.subscriptions().every(({ state }) => state === "subscribed"), true);
});

onStage("subscribe gives up at its deadline, and at its signal, and lets go of the names", async (stage) => {
  const pubsub = await stage.client().subscribe("first");
  stage.broker.freeze();
  const error = await assertRejects(() => pubsub.subscribe("late", { timeoutMs: 1 }), TimeoutError, "SUBSCRIBE");
  assertEquals([error.what, error.ms], ["SUBSCRIBE", 1]);
  const abort = new AbortController();
  const aborted = pubsub.subscribe("aborted", { signal: abort.signal });
  abort.abort(new RangeError("enough"));
  await assertRejects(() => aborted, RangeError, "enough");
  await assertRejects(() => pubsub.subscribe("never", { signal: abort.signal }), RangeError, "enough");
  stage.broker.thaw();
  await pubsub.subscribe("second");
  assertEquals(pubsub.subscriptions().map(({ name }) => name), ["first", "second"]);
  assertEquals(stage.broker.subscriberCount("late") + stage.broker.subscriberCount("aborted"), 0);
  assertEquals(stage.sent("SUBSCRIBE").includes("SUBSCRIBE never"), false);
});

onStage("A name that somebody else waits for outlives a call that gives up", async (stage) => {
  const pubsub = await stage.client().subscribe("first");
  stage.broker.freeze();
  const hasty = pubsub.subscribe("news", { timeoutMs: 1 });
  const patient = pubsub.subscribe("news");
  await assertRejects(() => hasty, TimeoutError);
  stage.broker.thaw();
  await patient;
  assertEquals(stage.broker.subscriberCount("news"), 1);
});

onStage("unsubscribe takes names away, without names all of its kind, and waits for the server", async (stage) => {
  const pubsub = stage.client().pubsub();
  await pubsub.subscribe(["a", "b", "c"]);
  await pubsub.psubscribe(["p*", "q*"]);
  await pubsub.ssubscribe(["s", "t"]);
  const names = () => pubsub.subscriptions().map(({ name }) => name).join(" ");
  await pubsub.unsubscribe("b");
  assertEquals(names(), "a c p* q* s t");
  await pubsub.punsubscribe();
  assertEquals([names(), stage.broker.patternCount()], ["a c s t", 0]);
  await pubsub.sunsubscribe(["t", "never had"]);
  assertEquals([names(), stage.broker.shardSubscriberCount("t")], ["a c s", 0]);
  stage.broker.freeze();
  const unsubscribed = pubsub.unsubscribe();
  assert(!await isSettled(unsubscribed));
  assertEquals(pubsub.subscriptions().map(({ state }) => state), ["unsubscribing", "unsubscribing", "subscribed"]);
  stage.broker.thaw();
  await unsubscribed;
  assertEquals([names(), stage.broker.subscriberCount("a")], ["s", 0]);
  await pubsub.sunsubscribe();
  assertEquals([names(), stage.broker.connectionCount], ["", 1]);
  assertEquals(stage.broker.commands.filter((words) => words.length === 1 && /UNSUBSCRIBE/.test(words[0]!)), []);
});

onStage("What waits in the queue is still delivered after unsubscribe", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  stage.broker.publish("news", "1");
  await turn();
  await pubsub.unsubscribe();
  await pubsub.subscribe("other");
  stage.broker.publish("other", "2");
  assertEquals(payloads(await take(pubsub, 2)), ["1", "2"]);
});

onStage("A name may be any bytes; as it came with a message it can be handed back", async (stage) => {
  const name = Uint8Array.of(0x66, 0xff, 0x00, 0x0d, 0x0a, 0x80);
  const pubsub = await stage.client().subscribe<Uint8Array>(name, { codec: bytes });
  assertEquals(stage.broker.publish(name, Uint8Array.of(0xff, 0, 1)), 1);
  const [message] = await take(pubsub, 1);
  assertEquals(message!.channel, "f\udcff\0\r\n\udc80");
  assertEquals(message!.payload, Uint8Array.of(0xff, 0, 1));
  await pubsub.unsubscribe(message!.channel);
  assertEquals(stage.broker.subscriberCount(name), 0);
});

onStage("Equal names are one, as text or bytes, and asked for twice", async (stage) => {
  const pubsub = stage.client().pubsub();
  await pubsub.subscribe(["é", new TextEncoder().encode("é"), "é"]);
  await pubsub.subscribe("é");
  assertEquals(stage.sent("SUBSCRIBE"), ["SUBSCRIBE é"]);
  stage.broker.publish("é", "once");
  stage.broker.publish("é", "twice");
  assertEquals(payloads(await take(pubsub, 2)), ["once", "twice"]);
});

onStage("Misuse is refused with a TypeError or RangeError, and leaves nothing behind", async (stage) => {
  const redis = stage.client();
  const pubsub = redis.pubsub();
  await assertRejects(() => redis.subscribe([]), TypeError, "SUBSCRIBE needs at least one name");
  await assertRejects(() => pubsub.psubscribe([]), TypeError, "PSUBSCRIBE needs at least one name");
  await assertRejects(() => pubsub.subscribe(5 as unknown as string), TypeError);
  await assertRejects(() => pubsub.subscribe("\ud800"), TypeError, "lone surrogate");
  assertThrows(() => pubsub.stream({}), TypeError, "A stream needs a name");
  assertThrows(() => pubsub.stream({ channels: [] }), TypeError, "A stream needs a name");
  assertThrows(() => pubsub.batches({ maxBatch: 0 }), RangeError, "maxBatch");
  assertThrows(() => redis.pubsub({ overflow: "never" as "block" }), TypeError, "overflow");
  assertEquals([stage.broker.connectionCount, pubsub.subscriptions(), pubsub.readable.locked], [0, [], false]);
});

onStage("A name that the server refuses rejects its call, and touches no other", async (stage) => {
  stage.broker.refuse("SUBSCRIBE", NOPERM, { name: "secret" });
  const pubsub = stage.client().pubsub();
  const error = await assertRejects(() => pubsub.subscribe(["open", "secret", "wide"]), ReplyError, '"secret"');
  assertEquals([error.code, error.channel, error.verb], ["NOPERM", "secret", "SUBSCRIBE"]);
  assertEquals(pubsub.subscriptions().map(({ name, state }) => `${name} ${state}`), [
    "open subscribed",
    "wide subscribed",
  ]);
  assertEquals(stage.heard("denied").map(({ kind, name }) => [kind, name]), [["channel", "secret"]]);
  stage.broker.publish("wide", "works");
  assertEquals(payloads(await take(pubsub, 1)), ["works"]);
  stage.broker.allow("SUBSCRIBE");
  await pubsub.subscribe("secret");
  assertEquals(stage.broker.subscriberCount("secret"), 1);
});

onStage("client.subscribe to a name that is refused leaves no connection behind", async (stage) => {
  stage.broker.refuse("SUBSCRIBE", NOPERM, { name: "secret" });
  await assertRejects(() => stage.client().subscribe(["open", "secret"]), ReplyError, '"secret"');
  await turn();
  assertEquals(stage.broker.connectionCount, 0);
});

onStage("A name that is refused at a reconnect is told, and asked for again when somebody asks", async (stage) => {
  const pubsub = await stage.client().subscribe(["news", "secret"]);
  stage.broker.refuse("SUBSCRIBE", NOPERM, { name: "secret" });
  stage.broker.disconnectAll();
  await stage.hears("denied");
  await assertRejects(() => pubsub.synced(), ReplyError, '"secret"');
  const [, denied] = pubsub.subscriptions();
  assertEquals([denied?.name, denied?.state, denied?.error?.code], ["secret", "denied", "NOPERM"]);
  await stage.hears("ready", 2);
  stage.broker.publish("news", "works");
  assertEquals(payloads(await take(pubsub, 1)), ["works"]);
});

onStage("Subscribing and unsubscribing from inside the loop works", async (stage) => {
  const pubsub = await stage.client().subscribe("0");
  const seen: string[] = [];
  stage.broker.publish("0", "go");
  for await (const { channel } of pubsub) {
    seen.push(channel);
    const next = String(Number(channel) + 1);
    if (next === "20") break;
    await pubsub.subscribe(next);
    await pubsub.unsubscribe(channel);
    stage.broker.publish(channel, "nobody hears this");
    stage.broker.publish(next, "go");
  }
  assertEquals(seen, Array.from({ length: 20 }, (_, i) => String(i)));
  await turn();
  assertEquals(stage.broker.connectionCount, 0);
});

onStage("A codec decodes; a payload that it rejects ends the stream after what waits", async (stage) => {
  const pubsub = await stage.client().subscribe<{ n: number }>("news", { codec: json });
  for (const payload of ['{"n":1}', '{"n":2}', "{", '{"n":3}']) stage.broker.publish("news", payload);
  const numbers: number[] = [];
  const error = await assertRejects(
    async () => {
      for await (const { payload } of pubsub) numbers.push(payload.n);
    },
    DecodeError,
    '"news"',
  );
  assertEquals([numbers, error.channel], [[1, 2], "news"]);
  await pubsub.close();
});

onStage("With onDecodeError: skip such a payload is counted and told, and the stream goes on", async (stage) => {
  const pubsub = await stage.client().subscribe<number>("news", { codec: json, onDecodeError: "skip" });
  for (const payload of ["1", "{", "2"]) stage.broker.publish("news", payload);
  assertEquals(payloads(await take(pubsub, 2)), [1, 2]);
  assertEquals([pubsub.stats().skipped, stage.heard("error").length], [1, 1]);
  assertInstanceOf(stage.heard("error")[0]?.error, DecodeError);
});

onStage("batches() gives everything since the last read, and takes the place of readable", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const chunks: string[][] = [];
  for (let i = 0; i < 5; i++) stage.broker.publish("news", String(i));
  await turn();
  const batches = pubsub.batches({ maxBatch: 3 });
  assertThrows(() => pubsub.readable.getReader(), TypeError);
  assertThrows(() => pubsub.batches(), TypeError);
  assertThrows(() => pubsub[Symbol.asyncIterator](), TypeError);
  for await (const chunk of batches) {
    chunks.push(payloads(chunk));
    if (chunks.length === 2) break;
  }
  assertEquals(chunks, [["0", "1", "2"], ["3", "4"]]);
  await turn();
  assertEquals(stage.broker.connectionCount, 0);
});

onStage("A chunk holds 256 messages at most where nothing else is said", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  for (let i = 0; i < 300; i++) stage.broker.publish("news", String(i));
  await turn();
  const sizes: number[] = [];
  let count = 0;
  for await (const chunk of pubsub.batches()) {
    sizes.push(chunk.length);
    if ((count += chunk.length) === 300) break;
  }
  assertEquals(sizes, [256, 44]);
});

onStage("readable is a stream of the platform: it can be piped and teed", async (stage) => {
  const redis = stage.client();
  const pubsub = await redis.subscribe("news");
  assert(pubsub.readable instanceof ReadableStream);
  const upper = pubsub.readable.pipeThrough(
    new TransformStream<Message, string>({
      transform: ({ payload }, controller) => controller.enqueue(payload.toUpperCase()),
    }),
  );
  const [left, right] = upper.tee();
  for (const payload of ["a", "b"]) stage.broker.publish("news", payload);
  const received = Promise.all([all(left), all(right)]);
  await turn();
  await pubsub.drain();
  assertEquals(await received, [["A", "B"], ["A", "B"]]);
});

onStage("stats() counts what came, what was taken and what waits", async (stage) => {
  const pubsub = await stage.client().subscribe("news", { maxQueuedMessages: 3 });
  assertEquals(pubsub.stats().lastMessageAt, undefined);
  for (const payload of ["aa", "bb", "cc", "dd", "e"]) stage.broker.publish("news", payload);
  await turn();
  await take(pubsub, 1);
  const { lastMessageAt, ...counts } = pubsub.stats();
  assert(Math.abs(Date.now() - lastMessageAt!) < 60_000);
  const waits = { queued: 2, queuedBytes: 3, reconnects: 0, unknownPushes: 0 };
  assertEquals(counts, { received: 5, delivered: 1, dropped: 2, skipped: 0, backfilled: 0, ...waits });
  // The first at once, the others a second later, or at the end.
  await pubsub.close();
  assertEquals(stage.heard("overflow").reduce((sum, { dropped }) => sum + dropped, 0), 2);
});

onStage("Messages survive a wire that gives one byte at a time", async (stage) => {
  stage.broker.splitWrites(1);
  const pubsub = await stage.client().subscribe(["news", "sport"]);
  await pubsub.psubscribe("*");
  stage.broker.publish("news", "déjà vu");
  stage.broker.publish("sport", "\r\n$-1\r\n");
  assertEquals(payloads(await take(pubsub, 4)), ["déjà vu", "déjà vu", "\r\n$-1\r\n", "\r\n$-1\r\n"]);
});

onStage("A name that is given twice is one: it is asked for once, and let go of once", async (stage) => {
  const pubsub = stage.client().pubsub();
  await pubsub.subscribe(["a", "b", "a"]);
  assertEquals(pubsub.subscriptions().map(({ name }) => name), ["a", "b"]);
  const stream = pubsub.stream({ channels: ["c", "c"] });
  await pubsub.synced();
  await stream.cancel();
  await pubsub.unsubscribe(["a", "a"]);
  assertEquals(pubsub.subscriptions().map(({ name, state }) => `${name} ${state}`), ["b subscribed"]);
  assertEquals(stage.sent("SUBSCRIBE", "UNSUBSCRIBE"), [
    "SUBSCRIBE a",
    "SUBSCRIBE b",
    "SUBSCRIBE c",
    "UNSUBSCRIBE c",
    "UNSUBSCRIBE a",
  ]);
});
