import { ConnectionError, ReplyError } from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { all, turn } from "../support/turn.ts";
import { onStage, textOf } from "./stage.ts";

const SECRET = "hunter2";

onStage("close() answers what is on its way, and refuses what comes later", async (stage) => {
  const redis = stage.client();
  await redis.command(["PING"]);
  const calls = Array.from({ length: 10 }, (_, i) => redis.command(["ECHO", i]));
  const closed = redis.close();
  await assertRejects(() => redis.publish("news", "x"), ConnectionError, "Cannot send PUBLISH: the client is closed");
  assertEquals((await Promise.all(calls)).map(textOf), Array.from({ length: 10 }, (_, i) => String(i)));
  await closed;
  assertEquals(stage.broker.connectionCount, 0);
});

onStage("close() waits for a silent server no longer than closeTimeoutMs, then the calls reject", async (stage) => {
  const redis = stage.client({ closeTimeoutMs: 5 });
  await redis.command(["PING"]);
  stage.broker.freeze();
  const call = redis.publish("news", "x");
  const rejected = assertRejects(() => call, ConnectionError, "not known");
  await turn();
  await redis.close();
  await rejected;
});

onStage("close() calls off a dial that hangs, and closes a socket that comes late", async (stage) => {
  let dialled = () => {};
  let closes = 0;
  const hanging = new Promise<void>((resolve) => dialled = resolve);
  const redis = stage.client({
    connectTimeoutMs: 100_000,
    dial: async (endpoint, options) => {
      const transport = await stage.broker.dial(endpoint, options);
      await hanging;
      return {
        read: () => transport.read(),
        write: (bytes) => transport.write(bytes),
        close: () => {
          closes++;
          transport.close();
        },
      };
    },
  });
  const rejected = [redis.publish("news", "x"), redis.subscribe("news")].map((call) => {
    return assertRejects(() => call, ConnectionError);
  });
  await turn();
  await redis.close();
  await Promise.all(rejected);
  dialled();
  await turn();
  assertEquals([closes, stage.broker.connectionCount], [2, 0]);
});

onStage("close() at whatever step of connecting leaves nothing behind", async (stage) => {
  for (let steps = 0; steps < 40; steps++) {
    const redis = stage.client();
    const calls = [redis.publish("news", "x"), redis.subscribe("news")];
    const settled = Promise.allSettled(calls);
    for (let i = 0; i < steps; i++) await Promise.resolve();
    await redis.close();
    await settled;
    await turn();
    assertEquals(stage.broker.connectionCount, 0, `${steps} steps`);
  }
});

onStage("close() while it connects rejects the commands that wait", async (stage) => {
  for (const turns of [0, 1]) {
    const redis = stage.client({ closeTimeoutMs: 5 });
    stage.broker.freeze();
    const call = redis.publish("news", "never sent");
    const rejected = assertRejects(() => call, ConnectionError);
    for (let i = 0; i < turns; i++) await turn();
    await redis.close();
    await rejected;
    stage.broker.thaw();
    await turn();
  }
  assertEquals([stage.sent("PUBLISH"), stage.broker.connectionCount], [[], 0]);
});

onStage("A wrong password is told as such, to commands and subscribers, and is not repeated", async (stage) => {
  const redis = stage.client({ username: "default", password: SECRET, waitOnFirstConnect: true });
  for (const call of [() => redis.publish("news", "x"), () => redis.subscribe("news")]) {
    const error = await assertRejects(call, ReplyError, "WRONGPASS");
    assertEquals(error.code, "WRONGPASS");
    assert(!`${error.stack}`.includes(SECRET));
  }
}, { password: "sesame" });

onStage("The right password, user, name and database come with the handshake, before anything else", async (stage) => {
  const redis = stage.client({ password: "sesame", clientName: "ear", database: 3 });
  assertEquals(await redis.publish("news", "x"), 0);
  await redis.subscribe("news");
  assertEquals(textOf(await redis.command(["CLIENT", "GETNAME"])), "ear");
  const verbs = stage.broker.commands.map(([verb]) => verb);
  assert(verbs.indexOf("PUBLISH") > verbs.indexOf(stage.protocol === 3 ? "HELLO" : "AUTH"));
  assert(!JSON.stringify(stage.broker.commands).includes("sesame"));
}, { password: "sesame" });

onStage("credentials are asked for each connection, and their failure is told", async (stage) => {
  let asked = 0;
  const redis = stage.client({
    credentials: () => ++asked === 2 ? Promise.reject(new RangeError("no token")) : Promise.resolve({ password: "p" }),
  });
  assertEquals(await redis.publish("news", "x"), 0);
  stage.broker.disconnectAll();
  await turn();
  const error = await assertRejects(() => redis.publish("news", "x"), ConnectionError, "Cannot connect");
  assertInstanceOf(error.cause, RangeError);
  assertEquals(await redis.publish("news", "x"), 0);
  assertEquals(asked, 3);
}, { password: "p" });

onStage("Closing the client closes every subscriber, and no new one can be made", async (stage) => {
  const redis = stage.client();
  const subscribers = [await redis.subscribe("a"), await redis.psubscribe("b*"), redis.pubsub()];
  await redis.publish("a", "dropped");
  await Promise.all([redis.close(), redis.close(), redis[Symbol.asyncDispose]()]);
  assertEquals(stage.broker.connectionCount, 0);
  for (const subscriber of subscribers) assertEquals(await all(subscriber.readable), []);
  await assertRejects(() => redis.subscribe("a"), ConnectionError, "the client is closed");
  assertThrows(() => redis.pubsub(), ConnectionError, "the client is closed");
  await assertRejects(() => redis.publish("a", "x"), ConnectionError, "Cannot send PUBLISH: the client is closed");
});
