import { ConnectionError, ReplyError, TimeoutError } from "@earshot/redis";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { turn } from "../support/turn.ts";
import { until } from "../support/until.ts";
import { AT_ONCE, onStage, payloads, take } from "./stage.ts";

const NOPERM = "NOPERM this user has no permissions to access one of the channels used as arguments";

onStage("A name that was refused is tried again when somebody asks again", async (stage) => {
  const pubsub = await stage.client().subscribe("a");
  stage.broker.refuse("SUBSCRIBE", NOPERM);
  stage.broker.disconnectAll();
  await until("the refusal", 5_000, () => stage.heard("denied").length === 1);
  await assertRejects(() => pubsub.subscribe("a"), ReplyError, "NOPERM");
  assertEquals(pubsub.subscriptions().map(({ state }) => state), ["denied"]);
  stage.broker.allow("SUBSCRIBE");
  await pubsub.subscribe("a");
  assertEquals([pubsub.subscriptions()[0]?.state, stage.broker.subscriberCount("a")], ["subscribed", 1]);
});

onStage("A call that gives up leaves alone what the server has acknowledged", async (stage) => {
  const deaf = "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nb\r\n";
  const pubsub = stage.client({
    dial: async (endpoint, options) => {
      const transport = await stage.broker.dial(endpoint, options);
      // The server never hears of b.
      const write = (bytes: Uint8Array) =>
        transport.write(new TextEncoder().encode(new TextDecoder().decode(bytes).replace(deaf, "")));
      return { read: () => transport.read(), write, close: () => transport.close() };
    },
  }).pubsub();
  const late = assertRejects(() => pubsub.subscribe(["a", "b"], { timeoutMs: 20 }), TimeoutError);
  await pubsub.subscribe("a");
  await late;
  await turn();
  assertEquals(pubsub.subscriptions().map(({ name, state }) => [name, state]), [
    ["a", "subscribed"],
    ["b", "unsubscribing"],
  ]);
  assertEquals(stage.broker.subscriberCount("a"), 1);
});

onStage(
  "A first connection that is lost after a name was acknowledged is mended, though the password has changed",
  async (stage) => {
    const pubsub = stage.client({ reconnect: { ...AT_ONCE, maxAttempts: 2 } }).pubsub();
    await pubsub.subscribe("a");
    stage.broker.refuse("HELLO", "WRONGPASS invalid username-password pair");
    stage.broker.refuse("SUBSCRIBE", "WRONGPASS invalid username-password pair");
    stage.broker.disconnectAll();
    // It is not left quiet: it goes on, and ends with the cause.
    await assertRejects(() => pubsub.readable.getReader().read(), ReplyError, "WRONGPASS");
  },
);

onStage("A server that opens the connection but never serves a subscription is told to the caller", async (stage) => {
  stage.broker.refuse("SUBSCRIBE", "LOADING Redis is loading the dataset in memory");
  const error = await assertRejects(() => stage.client().subscribe("a"), ReplyError, "LOADING");
  assertEquals([error.code, stage.heard("connecting").length], ["LOADING", 1]);
});

onStage("drain() of a full stream that blocks delivers everything", async (stage) => {
  const redis = stage.client({ closeTimeoutMs: 100 });
  const pubsub = await redis.subscribe("n", { overflow: "block", maxQueuedMessages: 4 });
  // Each byte is a read of its own, so that the consumer is the faster one while it takes.
  stage.broker.splitWrites(1);
  for (let i = 0; i < 100; i++) stage.broker.publish("n", String(i));
  await until("a full queue", 5_000, () => pubsub.stats().queued === 4);
  const drained = pubsub.drain();
  // A consumer that makes room, and then is slow.
  const got = payloads(await take(pubsub, 10));
  await until("the end of the connection", 5_000, () => stage.heard("closed").length === 1);
  got.push(...payloads(await take(pubsub, 90)));
  await drained;
  assertEquals(got, Array.from({ length: 100 }, (_, i) => String(i)));
});

onStage("synced() of a closed handle rejects", async (stage) => {
  const pubsub = await stage.client().subscribe("a");
  const overtaken = pubsub.synced();
  await Promise.all([pubsub.close(), overtaken.catch((error) => assert(error instanceof ConnectionError))]);
  await assertRejects(() => pubsub.synced(), ConnectionError, "closed");
});

onStage("Of what credentials() gives only user and password count, and a user needs a password", async (stage) => {
  const row = { password: "sesame", protocol: 2, clientName: "not me", database: "prod" };
  const redis = stage.client({ credentials: () => Promise.resolve(row) });
  await redis.publish("news", "hello");
  assert(stage.broker.commands.every(([verb]) => verb !== "SELECT" && verb !== "CLIENT"));
  const half = stage.client({ credentials: () => Promise.resolve({ username: "alice" }) });
  const error = await assertRejects(() => half.publish("news", "hello"), ConnectionError);
  assert(error.cause instanceof TypeError && error.cause.message.startsWith("username needs a password"));
}, { password: "sesame" });

onStage("A server that refuses QUIT is left at once", async (stage) => {
  stage.broker.refuse("QUIT", "ERR unknown command 'QUIT'");
  const pubsub = await stage.client({ closeTimeoutMs: 3_600_000 }).subscribe("a");
  await pubsub.close();
  assertEquals(stage.broker.subscriberCount("a"), 0);
});

onStage("A server that is full refuses the connection, not the channel", async (stage) => {
  const pubsub = await stage.client({ reconnect: { ...AT_ONCE, maxAttempts: 2 } }).subscribe("a");
  stage.broker.refuse("SUBSCRIBE", "ERR max number of clients reached");
  stage.broker.disconnectAll();
  await assertRejects(() => pubsub.readable.getReader().read(), ReplyError, "max number of clients");
  assertEquals([stage.heard("ready").length, stage.heard("denied").length], [1, 0]);
});

onStage("An observer that rejects hurts nobody", async (stage) => {
  const onEvent = () => Promise.reject(new Error("mine"));
  const pubsub = await stage.client({ onEvent }).subscribe("a");
  await pubsub.close();
});

onStage("A call in the loop of a full stream that blocks is answered", async (stage) => {
  const pubsub = await stage.client().subscribe("n", { overflow: "block", maxQueuedMessages: 2 });
  stage.broker.splitWrites(1);
  for (let i = 0; i < 10; i++) stage.broker.publish("n", String(i));
  await until("a full queue", 5_000, () => pubsub.stats().queued === 2);
  const got: string[] = [];
  for await (const { payload } of pubsub) {
    got.push(payload);
    await pubsub.subscribe(`more:${payload}`);
    await pubsub.unsubscribe(`more:${payload}`);
    await pubsub.synced();
    if (got.length === 10) break;
  }
  assertEquals(got, Array.from({ length: 10 }, (_, i) => String(i)));
});
