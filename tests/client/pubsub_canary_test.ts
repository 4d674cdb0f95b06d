/** The canary: a message that proves the subscription, and of which users see nothing. */
import { type Client, type ClientOptions, TimeoutError, type Transport } from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { turn } from "../support/turn.ts";
import { until } from "../support/until.ts";
import { onStage, payloads, type Stage, take } from "./stage.ts";

const PATIENCE_MS = 5_000;
const CANARY = { keepAlive: { idleMs: 10, timeoutMs: 30, canary: true } };
const NOPERM = "NOPERM No permissions to access a channel";

/** The commands with this verb that are about the canary. */
function songs(stage: Stage, verb: string): string[] {
  return stage.sent(verb).filter((line) => line.includes("earshot:private:canary:"));
}

/** A client whose subscribers go deaf when told: no message comes through, everything else does. */
function deafening(stage: Stage, options: ClientOptions): { redis: Client; deafen: () => void } {
  let deaf = new Set<Transport>();
  const made = new Set<Transport>();
  const redis = stage.client({
    ...options,
    dial: async (endpoint, dialOptions) => {
      const inner = await stage.broker.dial(endpoint, dialOptions);
      const transport: Transport = {
        read: async () => {
          for (;;) {
            const chunk = await inner.read();
            if (chunk === undefined || !deaf.has(transport)) return chunk;
            if (!/^[*>]3\r\n\$7\r\nmessage/.test(new TextDecoder().decode(chunk))) return chunk;
          }
        },
        write: (bytes) => inner.write(bytes),
        close: () => inner.close(),
      };
      made.add(transport);
      return transport;
    },
  });
  return { redis, deafen: () => deaf = new Set(made) };
}

onStage("A canary sings every idleMs, also while other messages come, and nobody sees it", async (stage) => {
  const redis = stage.client(CANARY);
  const pubsub = await redis.subscribe("news");
  await pubsub.psubscribe("*");
  assertMatch(songs(stage, "SUBSCRIBE").join(), /^SUBSCRIBE earshot:private:canary:[0-9a-z]+$/);
  await until("songs", PATIENCE_MS, () => {
    stage.broker.publish("news", "tick");
    return songs(stage, "PUBLISH").length >= 5;
  });
  const sent = stage.sent("PUBLISH").length;
  assertEquals(songs(stage, "PUBLISH").length, sent);
  await turn();
  const { received } = pubsub.stats();
  // Each as a channel and by the pattern.
  assertEquals(new Set(payloads(await take(pubsub, received))), new Set(["tick"]));
  assertEquals(pubsub.stats().queued, 0);
  assertEquals(pubsub.subscriptions().map(({ name }) => name), ["news", "*"]);
  const names = stage.events.flatMap((event) => "name" in event ? [event.name] : []);
  assertEquals([names, stage.heard("disconnected"), stage.heard("error")], [["news", "*"], [], []]);
  assertEquals((await redis.channels("earshot:*")).length, 1);
});

onStage("lastMessageAt is of messages of users only", async (stage) => {
  const pubsub = await stage.client(CANARY).subscribe("news");
  await until("songs", PATIENCE_MS, () => songs(stage, "PUBLISH").length >= 3);
  assertEquals([pubsub.stats().received, pubsub.stats().lastMessageAt], [0, undefined]);
});

onStage(
  "A subscription that is deaf is found out, though its socket answers every PING, and replaced",
  async (stage) => {
    const { redis, deafen } = deafening(stage, CANARY);
    const pubsub = await redis.subscribe("news");
    await until("songs", PATIENCE_MS, () => songs(stage, "PUBLISH").length >= 2);
    assertEquals(stage.heard("disconnected"), []);
    deafen();
    stage.broker.publish("news", "lost");
    await stage.hears("gap");
    const [lost] = stage.heard("disconnected");
    assertInstanceOf(lost?.error, TimeoutError);
    assertEquals([lost.error.what, lost.error.ms], ["canary", 30]);
    stage.broker.publish("news", "after");
    const [after] = await take(pubsub, 1);
    assertEquals([after?.payload, after?.gap?.reasons], ["after", ["reconnect"]]);
  },
);

onStage("Without a canary such a subscription stays deaf", async (stage) => {
  const { redis, deafen } = deafening(stage, { keepAlive: { idleMs: 10, timeoutMs: 30 } });
  await redis.subscribe("news");
  deafen();
  await until("PINGs", PATIENCE_MS, () => stage.sent("PING").length >= 5);
  assertEquals([songs(stage, "SUBSCRIBE"), stage.heard("disconnected")], [[], []]);
});

for (const verb of ["SUBSCRIBE", "PUBLISH"] as const) {
  onStage(`An ACL that refuses the canary its ${verb} is told once, and harms nobody`, async (stage) => {
    const pubsub = await stage.client(CANARY).subscribe("news");
    const name = songs(stage, "SUBSCRIBE")[0]!.split(" ")[1]!;
    stage.broker.refuse(verb, NOPERM, { name });
    if (verb === "SUBSCRIBE") await stage.blink(pubsub);
    await stage.hears("error");
    const pings = stage.sent("PING").length;
    for (let i = 0; i < 2; i++) {
      await stage.blink(pubsub);
      await until("PINGs", PATIENCE_MS, () => stage.sent("PING").length >= pings + 4 * (i + 1));
    }
    const errors = stage.heard("error").map(({ error }) => error.message);
    assertEquals(errors.length, 1);
    assertMatch(errors[0]!, new RegExp(`^${verb}.* was refused: NOPERM`));
    const blinks = verb === "SUBSCRIBE" ? 3 : 2;
    assertEquals([stage.heard("disconnected").length, stage.heard("denied")], [blinks, []]);
    assertEquals(pubsub.subscriptions().map(({ name, state }) => [name, state]), [["news", "subscribed"]]);
    await pubsub.synced();
  });
}

onStage("A subscriber that is closed has no canary", async (stage) => {
  const pubsub = await stage.client(CANARY).subscribe("news");
  await until("songs", PATIENCE_MS, () => songs(stage, "PUBLISH").length >= 2);
  await pubsub.close();
  const count = songs(stage, "PUBLISH").length;
  await until("nothing", PATIENCE_MS, () => turn().then(() => true));
  assert(songs(stage, "PUBLISH").length <= count + 1);
  assertEquals(stage.broker.subscriberCount("news"), 0);
});

onStage("A canary does not sing while the consumer holds up the reading, or at least is not judged", async (stage) => {
  const pubsub = await stage.client(CANARY).subscribe("news", { overflow: "block", maxQueuedMessages: 1 });
  for (let i = 0; i < 10; i++) stage.broker.publish("news", String(i));
  const began = performance.now();
  await until("several deadlines", PATIENCE_MS, () => performance.now() - began > 200);
  assertEquals(payloads(await take(pubsub, 10)), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  assertEquals(stage.heard("disconnected"), []);
});
