import { ReplyError } from "@earshot/redis";
import { assertEquals, assertInstanceOf } from "@std/assert";
import { commonGround, fresh } from "../support/ground.ts";
import { until } from "../support/until.ts";

const each = await commonGround();

const CANARY = { keepAlive: { idleMs: 20, timeoutMs: 500, canary: true } };

each("A canary is heard on a real server, quiet or busy, and nobody sees it but the server", async (ground) => {
  const channel = fresh("news");
  const redis = ground.client(CANARY);
  const pubsub = await redis.subscribe(channel);
  await pubsub.psubscribe("earshot:*");
  const [name] = await redis.channels("earshot:private:canary:*");
  assertEquals(await redis.subscriberCount(name!), new Map([[name!, 1]]));
  const before = await countPublishes();
  for (let sent = 0; await countPublishes() < before + 30 + sent; sent++) await ground.raw.ask("PUBLISH", channel, "x");
  assertEquals([ground.count("disconnected"), ground.count("error")], [0, 0]);
  for await (const message of pubsub) {
    assertEquals([message.channel, message.payload], [channel, "x"]);
    if (pubsub.stats().queued === 0) break;
  }
  assertEquals(ground.unhandled, []);

  async function countPublishes(): Promise<number> {
    return Number(/^cmdstat_publish:calls=(\d+)/m.exec(String(await ground.raw.ask("INFO", "commandstats")))?.[1] ?? 0);
  }
});

each("An ACL that does not permit the canary is told once, and the subscription is none the worse", async (ground) => {
  const [channel, username, password] = [fresh("news"), fresh("user"), fresh("password")];
  const rules = ["on", `>${password}`, "+@all", "~*", "resetchannels", `&${channel}`];
  await ground.raw.ask("ACL", "SETUSER", username, ...rules);
  const pubsub = await ground.client({ ...CANARY, username, password, reconnect: { initialDelayMs: 5 } }).subscribe(
    channel,
  );
  await until("the refusal", 5_000, () => ground.count("error") === 1);
  await ground.raw.ask("CLIENT", "KILL", "TYPE", "pubsub");
  await until("a recovery", 5_000, () => ground.count("gap") === 1);
  await pubsub.synced();

  await ground.raw.ask("PUBLISH", channel, "still here");

  for await (const { payload } of pubsub) {
    assertEquals(payload, "still here");
    break;
  }
  const errors = ground.events.flatMap((event) => event.type === "error" ? [event.error] : []);
  assertEquals([errors.length, ground.count("denied")], [1, 0]);
  assertInstanceOf(errors[0], ReplyError);
  assertEquals([errors[0].code, errors[0].verb, ground.unhandled], ["NOPERM", "SUBSCRIBE", []]);
});
