import {
  Client,
  ConnectionError,
  ProtocolError,
  RedisError,
  type Reply,
  ReplyError,
  TimeoutError,
} from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { deadline } from "@std/async";
import { memoryPair } from "../../src/transport/memory.ts";
import { test } from "../support/test.ts";
import { isSettled, turn } from "../support/turn.ts";
import { onStage, payloads, take, textOf } from "./stage.ts";

const SECRET = "hunter2";

onStage("publish gives the number of receivers, and connects on first use", async (stage) => {
  const redis = stage.client();
  assertEquals(stage.broker.connectionCount, 0);
  assertEquals(await redis.publish("news", "nobody"), 0);
  assertEquals(stage.broker.connectionCount, 1);
  const news = await redis.subscribe("news");
  await redis.psubscribe("n*");
  const shard = await redis.ssubscribe("news");
  assertEquals(await redis.publish("news", "hello"), 2);
  assertEquals(await redis.spublish("news", "shard"), 1);
  assertEquals(payloads(await take(news, 1)), ["hello"]);
  assertEquals(payloads(await take(shard, 1)), ["shard"]);
});

onStage("Channel and payload may be any bytes", async (stage) => {
  const redis = stage.client();
  const name = Uint8Array.of(0xff, 0x0d, 0x0a);
  await redis.subscribe(name);
  assertEquals(await redis.publish(name, Uint8Array.of(0, 0xff)), 1);
  assertEquals(await redis.publish("\udcff\r\n", ""), 1);
  assertEquals(await redis.subscriberCount([name, "none"]), new Map([["\udcff\r\n", 1], ["none", 0]]));
  assertEquals(await redis.channels(), ["\udcff\r\n"]);
});

onStage("The questions of PUBSUB are answered", async (stage) => {
  const redis = stage.client();
  await redis.subscribe(["news.a", "news.b", "sport"]);
  await redis.subscribe("sport");
  await redis.psubscribe(["p*", "q*"]);
  await redis.ssubscribe(["s1", "s2"]);
  assertEquals((await redis.channels()).sort(), ["news.a", "news.b", "sport"]);
  assertEquals((await redis.channels("news.*")).sort(), ["news.a", "news.b"]);
  assertEquals((await redis.shardChannels()).sort(), ["s1", "s2"]);
  assertEquals(await redis.shardChannels("?2"), ["s2"]);
  assertEquals(await redis.subscriberCount(["sport", "news.a", "x"]), new Map([["sport", 2], ["news.a", 1], ["x", 0]]));
  assertEquals(await redis.shardSubscriberCount("s1"), new Map([["s1", 1]]));
  assertEquals(await redis.patternCount(), 2);
});

onStage("command() takes text, numbers and bytes, and gives the reply as it is", async (stage) => {
  const redis = stage.client();
  assertEquals(textOf(await redis.command(["ECHO", "déjà vu"])), "déjà vu");
  assertEquals(textOf(await redis.command(["echo", 42])), "42");
  assertEquals(await redis.command(["ECHO", Uint8Array.of(0xff, 0)]), {
    type: "bulk-string",
    value: Uint8Array.of(0xff, 0),
  });
  assertEquals(await redis.command(["PING"]), { type: "simple-string", value: "PONG" });
});

onStage("The commands of one turn go out in one write", async (stage) => {
  const redis = stage.client();
  await redis.command(["PING"]);
  for (const count of [1, 2, 1_000]) {
    const before = stage.writes.length;
    await Promise.all(Array.from({ length: count }, (_, i) => redis.publish("news", String(i))));
    assertEquals(stage.writes.length - before, 1);
  }
  const sent = stage.sent("PUBLISH").slice(-1_000);
  assertEquals(sent, Array.from({ length: 1_000 }, (_, i) => `PUBLISH news ${i}`));
});

onStage("The commands that wait for the connection go out in one write, in order", async (stage) => {
  const redis = stage.client();
  const answers = Array.from({ length: 100 }, (_, i) => redis.command(["ECHO", i]));
  assertEquals((await Promise.all(answers)).map(textOf), Array.from({ length: 100 }, (_, i) => String(i)));
  assertEquals(stage.sent("ECHO"), Array.from({ length: 100 }, (_, i) => `ECHO ${i}`));
  const [, ...afterHello] = stage.writes;
  assert(afterHello.length <= 2, `${stage.writes.length} writes`);
});

onStage("Every command gets its own reply, errors among them, one byte at a time", async (stage) => {
  stage.broker.splitWrites(1);
  stage.broker.refuse("SPUBLISH", "NOPERM no");
  const redis = stage.client();
  const results = await Promise.allSettled(
    Array.from({ length: 60 }, (_, i) => i % 3 === 0 ? redis.spublish("s", "x") : redis.command(["ECHO", i])),
  );
  for (const [i, result] of results.entries()) {
    if (i % 3 === 0) assert(result.status === "rejected" && result.reason instanceof ReplyError);
    else assertEquals(result.status === "fulfilled" && textOf(result.value as Reply), String(i));
  }
});

onStage("A subscriber that reads nothing does not hold up replies", async (stage) => {
  const redis = stage.client();
  const slow = await redis.subscribe("news", { overflow: "block", maxQueuedMessages: 1 });
  for (let i = 0; i < 50; i++) assertEquals(await redis.publish("news", String(i)), 1);
  assertEquals(payloads(await take(slow, 50)).at(-1), "49");
});

onStage("A command that was on its way when the connection broke is not known to be executed", async (stage) => {
  const redis = stage.client();
  await redis.command(["PING"]);
  stage.broker.freeze();
  const calls = [redis.publish("news", SECRET), redis.command(["INCR", SECRET])];
  await turn();
  stage.broker.disconnectAll();
  stage.broker.thaw();
  await Promise.allSettled(calls);
  for (const [i, verb] of ["PUBLISH", "INCR"].entries()) {
    const error = await assertRejects(() => calls[i]!, ConnectionError, `${verb} failed: the connection was lost`);
    assert(error.message.includes("not known") && !error.message.includes(SECRET));
    assertInstanceOf(error.cause, ConnectionError);
  }
  assertEquals(await redis.publish("news", "again"), 0);
  await turn();
  assertEquals(stage.sent("PUBLISH", "INCR"), ["PUBLISH news again"]);
});

onStage("A command comes to an end at whatever moment of a loss it is sent", async (stage) => {
  const redis = stage.client();
  await redis.patternCount();
  stage.broker.disconnectAll();
  const ends: Promise<string>[] = [];
  for (let moment = 0; moment < 40; moment++) {
    ends.push(
      redis.patternCount().then(() => "answered", (error) => error instanceof ConnectionError ? "lost" : error),
    );
    await Promise.resolve();
  }
  const all = await deadline(Promise.all(ends), 5_000);
  assertEquals(all.toSorted(), all.toReversed(), "first some are lost, then all are answered");
  assertEquals([all[0], all.at(-1)], ["lost", "answered"]);
});

onStage("After a lost connection the next command opens another, also in the very same turn", async (stage) => {
  const redis = stage.client();
  for (let i = 0; i < 5; i++) {
    assertEquals(textOf(await redis.command(["ECHO", i])), String(i));
    stage.broker.disconnectAll();
    if (i % 2 === 0) await turn();
    else await assertRejects(() => redis.command(["ECHO", "lost"]), ConnectionError);
  }
  assertEquals(textOf(await redis.command(["ECHO", "good"])), "good");
});

onStage(
  "Where the server cannot be reached, every command that waits is told why; the next one tries again",
  async (stage) => {
    const redis = stage.client({ host: "redis.test", port: 7 });
    stage.broker.refuseConnections();
    const calls = [redis.publish("news", "1"), redis.patternCount()];
    await Promise.allSettled(calls);
    for (const call of calls) {
      const error = await assertRejects(() => call, ConnectionError, "Cannot connect to redis.test:7");
      assertEquals(error.endpoint, "redis.test:7");
    }
    stage.broker.acceptConnections();
    assertEquals(await redis.publish("news", "2"), 0);
  },
);

onStage("A call gives up at its deadline; the late reply goes to nobody else", async (stage) => {
  const redis = stage.client();
  await redis.command(["PING"]);
  stage.broker.freeze();
  const error = await assertRejects(() => redis.publish("news", SECRET, { timeoutMs: 1 }), TimeoutError, "PUBLISH");
  assertEquals([error.what, error.ms, error.message.includes(SECRET)], ["PUBLISH", 1, false]);
  const patient = redis.command(["ECHO", "mine"], { timeoutMs: 60_000 });
  stage.broker.thaw();
  assertEquals(textOf(await patient), "mine");
});

onStage("A server that does not answer within commandTimeoutMs is given up, and replaced", async (stage) => {
  const redis = stage.client({ commandTimeoutMs: 5 });
  await redis.command(["PING"]);
  stage.broker.freeze();
  const error = await assertRejects(() => redis.publish("news", "x"), ConnectionError, "not known");
  const { cause } = error;
  assertInstanceOf(cause, TimeoutError);
  assertEquals([cause.what, cause.ms], ["PUBLISH", 5]);
  stage.broker.thaw();
  assertEquals(await redis.publish("news", "y"), 0);
});

onStage("A server that is silent in the handshake is given up after connectTimeoutMs", async (stage) => {
  const redis = stage.client({ connectTimeoutMs: 5 });
  stage.broker.freeze();
  await assertRejects(() => redis.publish("news", "x"), TimeoutError);
  stage.broker.thaw();
  assertEquals(await redis.publish("news", "y"), 0);
});

onStage("A call that is aborted before it was sent is never sent", async (stage) => {
  const redis = stage.client();
  stage.broker.freeze();
  const abort = new AbortController();
  const aborted = redis.publish("news", "aborted", { signal: abort.signal });
  const late = assertRejects(() => redis.publish("news", "late", { timeoutMs: 1 }), TimeoutError);
  const kept = redis.publish("news", "kept");
  await turn();
  abort.abort(new RangeError("enough"));
  await assertRejects(() => aborted, RangeError, "enough");
  await late;
  await assertRejects(() => redis.publish("news", "never", { signal: abort.signal }), RangeError, "enough");
  stage.broker.thaw();
  assertEquals(await kept, 0);
  await assertRejects(() => redis.publish("news", "never", { signal: abort.signal }), RangeError, "enough");
  await turn();
  assertEquals(stage.sent("PUBLISH"), ["PUBLISH news kept"]);
});

onStage("A call that is aborted after it was sent leaves the replies of the others in place", async (stage) => {
  const redis = stage.client();
  await redis.command(["PING"]);
  stage.broker.freeze();
  const abort = new AbortController();
  const aborted = redis.command(["ECHO", "aborted"], { signal: abort.signal });
  const kept = redis.command(["ECHO", "kept"]);
  await turn();
  abort.abort(new RangeError("enough"));
  await assertRejects(() => aborted, RangeError, "enough");
  stage.broker.thaw();
  assertEquals(textOf(await kept), "kept");
});

const NO_COMMANDS: readonly (readonly [readonly (string | number | Uint8Array)[], string])[] = [
  ...["SUBSCRIBE", "psubscribe", "SSubscribe", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"].map((verb) =>
    [[verb, "x"], `Cannot send ${verb.toUpperCase()} as a command: use`] as const
  ),
  [["HELLO", 3], "Cannot send HELLO as a command: use the options protocol, username and password"],
  [["MONITOR"], "it never stops answering"],
  [["SYNC"], "it never stops answering"],
  [["PSYNC", "?", -1], "it never stops answering"],
  [["QUIT"], "use close"],
  [["RESET"], "it would undo the handshake"],
  [["client", "reply", "OFF"], "Cannot send CLIENT REPLY as a command"],
  [[], "A command must start with its name"],
  [[""], "A command must start with its name"],
  [[5], "A command must start with its name"],
  [["CLIENT", new TextEncoder().encode("reply"), "OFF"], "Cannot send CLIENT REPLY as a command"],
  [[new TextEncoder().encode("MONITOR")], "A command must start with its name"],
  [["ECHO", NaN], ""],
  [["ECHO", null as unknown as string], ""],
];

onStage("A command that has no one answer is refused before anything is sent", async (stage) => {
  const redis = stage.client();
  for (const [args, text] of NO_COMMANDS) await assertRejects(() => redis.command(args), TypeError, text);
  await assertRejects(() => redis.publish("\ud800", "x"), TypeError, "lone surrogate");
  await assertRejects(() => redis.publish(null as unknown as string, "x"), TypeError);
  await assertRejects(() => redis.publish(5 as unknown as string, "x"), TypeError, "must be a string or a Uint8Array");
  await assertRejects(() => redis.publish("news", undefined as unknown as string), TypeError);
  await turn();
  assertEquals([stage.broker.connectionCount, stage.broker.commands.length], [0, 0]);
});

onStage("A refusal is a ReplyError with code and verb, and repeats no payload", async (stage) => {
  const redis = stage.client();
  stage.broker.refuse("PUBLISH", "NOPERM No permissions to access a channel");
  const refused = await assertRejects(() => redis.publish("news", SECRET), ReplyError, "PUBLISH was refused: NOPERM");
  assertEquals([refused.code, refused.verb], ["NOPERM", "PUBLISH"]);
  // A server repeats the arguments of a command that it does not know.
  const unknown = await assertRejects(() => redis.command(["NOSUCH", SECRET]), ReplyError, "unknown command");
  assertEquals([unknown.code, unknown.verb], ["ERR", "NOSUCH"]);
  for (const error of [refused, unknown]) {
    assert(error instanceof RedisError);
    assert(!`${error.stack} ${JSON.stringify(error)}`.includes(SECRET));
  }
  assertEquals(await redis.patternCount(), 0);
});

const WRONG_ANSWERS: readonly [string, (redis: Client) => Promise<unknown>, string][] = [
  ["+OK\r\n", (redis) => redis.publish("news", SECRET), "something else than a number: simple-string"],
  ["$-1\r\n", (redis) => redis.patternCount(), "something else than a number: null"],
  [":1\r\n", (redis) => redis.channels(), "something else than a list: integer"],
  ["*1\r\n:1\r\n", (redis) => redis.channels(), "something else than a name: integer"],
  ["*2\r\n$1\r\na\r\n$1\r\nb\r\n", (redis) => redis.subscriberCount("a"), "something else than a number: bulk-string"],
];

for (const [answer, ask, text] of WRONG_ANSWERS) {
  test(`An answer of another type than was asked for is a ProtocolError: ${text}`, async () => {
    const [transport, server] = memoryPair();
    const served = (async () => {
      while (await server.read() !== undefined) await server.write(new TextEncoder().encode(answer)).catch(() => {});
      server.close();
    })();
    const redis = new Client({ dial: () => Promise.resolve(transport), protocol: 2, closeTimeoutMs: 0 });
    const error = await assertRejects(() => ask(redis), ProtocolError, text);
    assert(!error.message.includes(SECRET));
    await redis.close();
    await served;
  });
}

onStage("A command waits until the server answers", async (stage) => {
  const redis = stage.client();
  await redis.command(["PING"]);
  stage.broker.freeze();
  const call = redis.publish("news", "x");
  assert(!await isSettled(call));
  stage.broker.thaw();
  assertEquals(await call, 0);
});
