import { Client, ConnectionError, ReplyError, TimeoutError } from "@earshot/redis";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import { commonGround, fresh, ownGround, RESP2, RESP3 } from "../support/ground.ts";
import { until } from "../support/until.ts";

const each = await commonGround();

each(
  "A client tells which channels, shard channels and patterns have subscribers, and how many",
  async ({ client }) => {
    const [asking, subscriber] = [client(), client()];
    const stem = fresh("seen");
    const [a, b, none] = [`${stem}-a`, `${stem}-b`, `${stem}-none`];
    assertEquals(await asking.patternCount(), 0);
    const one = await subscriber.subscribe([a, b]);
    const two = await subscriber.subscribe(b);
    await Promise.all([one.ssubscribe([a, b]), two.ssubscribe(a), one.psubscribe(["x*", "y*"]), two.psubscribe("y*")]);

    assertEquals((await asking.channels(`${stem}-*`)).sort(), [a, b]);
    assertEquals(await asking.channels(`${stem}-?a`), []);
    assert((await asking.channels()).includes(a));
    assertEquals((await asking.shardChannels(`${stem}-*`)).sort(), [a, b]);
    assert((await asking.shardChannels()).includes(b));
    assertEquals([...await asking.subscriberCount([a, b, none])], [[a, 1], [b, 2], [none, 0]]);
    assertEquals([...await asking.subscriberCount(b)], [[b, 2]]);
    assertEquals([...await asking.shardSubscriberCount([a, b, none])], [[a, 2], [b, 1], [none, 0]]);
    assertEquals(await asking.patternCount(), 2);
  },
);

each("Names that are not UTF-8 are told as they are shown, and can be asked for", async ({ client }) => {
  const redis = client();
  const name = new Uint8Array([0xff, 0x00, ...new TextEncoder().encode(fresh("\r\n"))]);
  const pubsub = await redis.subscribe(name);
  const [{ name: shown } = { name: "" }] = pubsub.subscriptions();

  assert((await redis.channels()).includes(shown));
  assertEquals([...await redis.subscriberCount(name)], [[shown, 1]]);
  assertEquals([...await redis.subscriberCount(shown)], [[shown, 1]]);
});

each("Any command with one answer can be sent", async ({ client }) => {
  const redis = client({ database: 1 });
  const key = fresh("key");
  const value = Uint8Array.from({ length: 256 }, (_, byte) => byte);

  assertEquals((await redis.command(["INCRBY", key, 41])).value, 41);
  assertEquals((await redis.command(["INCR", key])).value, 42);
  await redis.command(["SET", key, value]);
  assertEquals(await redis.command(["GET", key]), { type: "bulk-string", value });
  assertEquals((await redis.command(["GET", `${key}-none`])).type, "null");
  assertEquals((await redis.command(["SELECT", 0])).value, "OK");
  assertEquals((await redis.command(["EXISTS", key])).value, 0);
});

each("A refused command rejects with the server's own words, without the arguments, and alone", async ({ client }) => {
  const redis = client();
  const key = fresh("key");
  await redis.command(["SET", key, "text"]);

  const [wrongType, unknown, fine] = await Promise.allSettled([
    redis.command(["LPUSH", key, "s3cret"]),
    redis.command(["NOSUCHCOMMAND", "s3cret"]),
    redis.command(["GET", key]),
  ]);

  const errors = [wrongType, unknown].map((settled) => settled.status === "rejected" ? settled.reason : undefined);
  for (const [index, code, verb] of [[0, "WRONGTYPE", "LPUSH"], [1, "ERR", "NOSUCHCOMMAND"]] as const) {
    const error = errors[index];
    assert(error instanceof ReplyError);
    assertEquals([error.code, error.verb], [code, verb]);
    assert(!error.message.includes("s3cret"), error.message);
  }
  assertEquals(fine.status, "fulfilled");
});

each(
  "The commands of one turn go out together, on one connection, and are answered in order",
  async ({ client, raw }) => {
    const redis = client();
    const key = fresh("counter");
    await redis.command(["SET", key, 0]);
    const [reads, connections] = [
      await raw.info("total_reads_processed"),
      await raw.info("total_connections_received"),
    ];

    const answers = await Promise.all(Array.from({ length: 1_000 }, () => redis.command(["INCR", key])));

    assertEquals(answers.map(({ value }) => value), Array.from({ length: 1_000 }, (_, index) => index + 1));
    const more = await raw.info("total_reads_processed") - reads;
    assert(more < 50, `The server read ${more} times`);
    assertEquals(await raw.info("total_connections_received"), connections);
  },
);

each(
  "The first command is answered at once, whatever the client has to introduce itself with",
  async ({ server, dialect }) => {
    await using redis = new Client({ host: server.host, port: server.port, ...dialect.options });

    assertEquals(await redis.publish(fresh("news"), "hello", { timeoutMs: 2_000 }), 0);
  },
);

each("Commands that have no one answer are refused as misuse, before anything is opened", async ({ client, raw }) => {
  const redis = client();
  const connections = await raw.info("total_connections_received");
  const misused: (string | Uint8Array)[][] = [
    ...["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"].map((
      verb,
    ) => [verb, "x"]),
    ["subscribe", "x"],
    ["HELLO", "3"],
    ["MONITOR"],
    ["QUIT"],
    ["RESET"],
    ["CLIENT", "REPLY", "OFF"],
    ["client", "reply", "skip"],
    ["SYNC"],
    ["PSYNC", "?", "-1"],
    [""],
    [],
    [new Uint8Array([0x47])],
  ];

  for (const args of misused) await assertRejects(() => redis.command(args), TypeError);

  assertEquals(await raw.info("total_connections_received"), connections);
});

each("A call that is given up rejects with its own reason, and the next one is answered", async (ground) => {
  await using proxy = await FaultyProxy.open(ground.server.port);
  const redis = ground.client({ port: proxy.port });
  const channel = fresh("news");
  await redis.publish(channel, "flows");
  proxy.freeze("present");

  const abort = new AbortController();
  const reason = new SyntaxError("no longer needed");
  const aborted = redis.publish(channel, "aborted", { signal: abort.signal });
  const late = redis.publish(channel, "late", { timeoutMs: 50 });
  abort.abort(reason);

  assertEquals(await aborted.catch((error) => error), reason);
  const error = await assertRejects(() => late, TimeoutError);
  assertEquals([error.what, error.ms], ["PUBLISH", 50]);
  assertEquals(
    await redis.publish(channel, "too late", { signal: AbortSignal.abort(reason) }).catch((error) => error),
    reason,
  );
  proxy.cut();
  await until(
    "an answer",
    5_000,
    () => redis.publish(channel, "flows again").then((count) => count === 0, () => false),
  );
  assertEquals(ground.unhandled, []);
});

ownGround("What is given up before it was sent is never sent", async (ground) => {
  const channel = fresh("news");
  const news = await ground.client().subscribe(channel);
  const redis = ground.client();
  await ground.server.kill("SIGSTOP");

  const given = redis.publish(channel, "given up", { timeoutMs: 50 });
  const kept = redis.publish(channel, "kept");
  await assertRejects(() => given, TimeoutError);
  await ground.server.kill("SIGCONT");

  assertEquals(await kept, 1);
  for await (const { payload } of news) {
    assertEquals(payload, "kept");
    break;
  }
}, [RESP3, RESP2]);

ownGround("Commands fail fast while the server is down, and work when it is back", async (ground) => {
  const redis = ground.client();
  const channel = fresh("news");
  assertEquals(await redis.publish(channel, "before"), 0);
  await ground.server.kill("SIGKILL");

  const began = performance.now();
  for (let calls = 0; calls < 3; calls++) await assertRejects(() => redis.publish(channel, "nobody"), ConnectionError);
  assert(performance.now() - began < 1_000, "It took a second to fail");
  const both = await Promise.allSettled([redis.publish(channel, "nobody"), redis.command(["PING"])]);
  assertEquals(both.map(({ status }) => status), ["rejected", "rejected"]);

  await ground.server.restart();
  assertEquals(await redis.publish(channel, "after"), 0);
  assertEquals(ground.unhandled, []);
}, [RESP3, RESP2]);

ownGround("A command that is on its way when the server ends rejects, and is not sent again", async (ground) => {
  const redis = ground.client();
  assertEquals((await redis.command(["BLPOP", fresh("list"), "0.01"])).type, "null");

  // Listened to from the beginning: it may reject before the answer to KILL is here.
  const rejected = assertRejects(() => redis.command(["BLPOP", fresh("list"), 0]), ConnectionError, "BLPOP");
  await until("a blocked client", 5_000, async () => await ground.raw.info("blocked_clients") === 1);
  await ground.raw.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");

  const error = await rejected;
  assert(error.cause instanceof ConnectionError);
  assertEquals(await redis.publish(fresh("news"), "still works"), 0);
  assertEquals(await ground.raw.info("blocked_clients"), 0);
}, [RESP3, RESP2]);

each(
  "close answers what is on its way, and refuses what comes after",
  async ({ client, raw, clientName, unhandled }) => {
    const redis = client();
    const [key, sent] = [fresh("key"), 100];
    const answers = Array.from({ length: sent }, () => redis.command(["INCR", key]));
    await answers[0];
    const more = Array.from({ length: sent }, () => redis.command(["INCR", key]));

    await redis.close();

    assertEquals((await raw.traces(clientName)).connections, 0);
    assertEquals((await Promise.all([...answers, ...more])).at(-1)?.value, 2 * sent);
    await assertRejects(() => redis.publish("news", "late"), ConnectionError, "closed");
    assertEquals(await raw.ask("GET", key), String(2 * sent));
    assertEquals(unhandled, []);
  },
);
