import { ConnectionError, type Gap, type Kind, type PubSub, TimeoutError } from "@earshot/redis";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import { commonGround, fresh, type Ground, ownGround, RESP2, RESP3 } from "../support/ground.ts";
import { until } from "../support/until.ts";

const each = await commonGround();

const IMPATIENT = { keepAlive: { idleMs: 200, timeoutMs: 200 }, reconnect: { initialDelayMs: 10, maxDelayMs: 50 } };
/** What a busy machine may add, in milliseconds. */
const SLACK_MS = 1_500;

each("A connection that freezes without being closed is noticed and replaced, and the gap is told", async (ground) => {
  await using proxy = await FaultyProxy.open(ground.server.port);
  const channel = fresh("frozen");
  const pubsub = await ground.client({ ...IMPATIENT, port: proxy.port }).subscribe(channel);
  await ground.raw.ask("PUBLISH", channel, "before");
  await until("the first message", 5_000, () => pubsub.stats().received === 1);

  proxy.freeze("present");
  const froze = Date.now();
  await ground.raw.ask("PUBLISH", channel, "lost");
  await until("a recovery", 5_000, () => ground.count("gap") === 1);
  const tookMs = Date.now() - froze;

  assert(tookMs >= 350 && tookMs <= 400 + SLACK_MS, `It took ${tookMs} ms`);
  const causes = ground.events.flatMap((event) => event.type === "disconnected" ? [event.error] : []);
  assertEquals(causes.map((error) => error instanceof TimeoutError && error.what), ["PONG"]);
  await ground.raw.ask("PUBLISH", channel, "after");
  const [before, after] = await take(pubsub, 2);
  assertEquals([before?.payload, before?.gap], ["before", undefined]);
  assertEquals(after?.payload, "after");
  assertBelievable(after?.gap, froze, tookMs);
  for (const event of ground.events) if (event.type === "gap") assertBelievable(event.gap, froze, tookMs);
  assertEquals(ground.unhandled, []);
});

each("A quiet connection that lives is left alone", async (ground) => {
  const channel = fresh("quiet");
  const pubsub = await ground.client({ keepAlive: { idleMs: 30, timeoutMs: 1_000 } }).subscribe(channel);
  const [before] = await ground.raw.clients(ground.clientName);

  const pings = await countPings(ground);
  await until("several PINGs", 5_000, async () => await countPings(ground) >= pings + 5);

  const [after] = await ground.raw.clients(ground.clientName);
  assertEquals([after?.get("id"), ground.count("disconnected")], [before?.get("id"), 0]);
  await ground.raw.ask("PUBLISH", channel, "still here");
  assertEquals((await take(pubsub, 1)).map(({ payload, gap }) => [payload, gap]), [["still here", undefined]]);
});

each("The defaults find a frozen connection within 20 seconds", async (ground) => {
  await using proxy = await FaultyProxy.open(ground.server.port);
  const channel = fresh("frozen");
  const pubsub = await ground.client({ port: proxy.port }).subscribe(channel);
  await ground.raw.ask("PUBLISH", channel, "before");
  await until("the first message", 5_000, () => pubsub.stats().received === 1);

  proxy.freeze("present");
  const froze = Date.now();
  await until("a recovery", 20_000, () => ground.count("gap") === 1);
  const tookMs = Date.now() - froze;

  await ground.raw.ask("PUBLISH", channel, "after");
  assertBelievable((await take(pubsub, 2))[1]?.gap, froze, tookMs);
}, [RESP3]);

ownGround("A server that is stopped and goes on later is noticed and found again", async (ground) => {
  const channel = fresh("stopped");
  const pubsub = await ground.client({ ...IMPATIENT, connectTimeoutMs: 200 }).subscribe(channel);
  await ground.raw.ask("PUBLISH", channel, "before");
  await until("the first message", 5_000, () => pubsub.stats().received === 1);

  await ground.server.kill("SIGSTOP");
  const froze = Date.now();
  await until("two attempts that fail", 5_000, () => ground.count("disconnected") >= 3);
  assertEquals(ground.count("gap"), 0);
  await ground.server.kill("SIGCONT");
  await until("a recovery", 5_000, () => ground.count("gap") === 1);
  const tookMs = Date.now() - froze;

  await ground.raw.ask("PUBLISH", channel, "after");
  assertBelievable((await take(pubsub, 2))[1]?.gap, froze, tookMs);
  assertEquals(ground.unhandled, []);
}, [RESP3, RESP2]);

each(
  "A first connection that freezes in its handshake rejects in time, or is tried again where one waits",
  async (ground) => {
    await using proxy = await FaultyProxy.open(ground.server.port);
    const options = { port: proxy.port, connectTimeoutMs: 200, reconnect: IMPATIENT.reconnect };
    proxy.freeze("future");

    const began = performance.now();
    const error = await assertRejects(() => ground.client(options).subscribe(fresh("news")), TimeoutError);
    const tookMs = performance.now() - began;
    assert(tookMs >= 190 && tookMs <= 200 + SLACK_MS, `It took ${tookMs} ms`);
    assertEquals(error.ms, 200);

    const waiting = ground.client({ ...options, waitOnFirstConnect: true }).subscribe(fresh("news"));
    const { accepted } = proxy;
    await until("another attempt", 5_000, () => proxy.accepted >= accepted + 2);
    proxy.thaw();
    const [subscription] = (await waiting).subscriptions();
    assertEquals(subscription?.state, "subscribed");
    assertEquals(ground.unhandled, []);
  },
);

each("A new connection that freezes in its handshake is replaced", async (ground) => {
  await using proxy = await FaultyProxy.open(ground.server.port);
  const channel = fresh("news");
  const options = { port: proxy.port, connectTimeoutMs: 200, reconnect: IMPATIENT.reconnect };
  const pubsub = await ground.client(options).subscribe(channel);
  proxy.freeze("future");
  proxy.cut();
  await until("two attempts that fail", 5_000, () => ground.count("disconnected") >= 3);

  proxy.thaw();
  await until("a recovery", 5_000, () => ground.count("gap") === 1);

  await ground.raw.ask("PUBLISH", channel, "after");
  assertEquals((await take(pubsub, 1))[0]?.gap?.reasons, ["reconnect"]);
  assertEquals(ground.unhandled, []);
});

const SUBSCRIBE: Readonly<Record<Kind, (pubsub: PubSub, name: string) => Promise<void>>> = {
  channel: (pubsub, name) => pubsub.subscribe(name),
  pattern: (pubsub, name) => pubsub.psubscribe(name),
  shard: (pubsub, name) => pubsub.ssubscribe(name),
};
const UNSUBSCRIBE: typeof SUBSCRIBE = {
  channel: (pubsub, name) => pubsub.unsubscribe(name),
  pattern: (pubsub, name) => pubsub.punsubscribe(name),
  shard: (pubsub, name) => pubsub.sunsubscribe(name),
};

for (const kind of ["channel", "pattern", "shard"] as const) {
  each(
    `A subscription and an unsubscription that freeze are settled by the next connection: ${kind}`,
    async (ground) => {
      await using proxy = await FaultyProxy.open(ground.server.port);
      const [kept, name] = [fresh("kept"), fresh("name")];
      const options = { port: proxy.port, commandTimeoutMs: 200, reconnect: IMPATIENT.reconnect };
      const pubsub = await ground.client(options).subscribe(kept);

      proxy.freeze({ trigger: name });
      const began = performance.now();
      await SUBSCRIBE[kind](pubsub, name);
      assert(performance.now() - began >= 190, "It was not frozen");
      assertEquals(pubsub.subscriptions().map(({ state }) => state), ["subscribed", "subscribed"]);
      assertEquals([proxy.accepted, ground.count("disconnected")], [2, 1]);

      proxy.freeze({ trigger: name });
      await UNSUBSCRIBE[kind](pubsub, name);
      await until("the next connection", 5_000, () => ground.count("ready") === 3);
      const names = { channels: [kept, name], shardChannels: [name] };
      // The proxy tells the server of the end of the frozen connection a moment later.
      await until("the server has let go of the old one", 5_000, async () => {
        return (await ground.raw.traces(ground.clientName, names)).connections === 1;
      });
      assertEquals(await ground.raw.traces(ground.clientName, names), {
        channels: [1, 0],
        shardChannels: [0],
        patterns: 0,
        connections: 1,
      });
      assertEquals(ground.unhandled, []);
    },
  );
}

each("A command that freezes rejects, and the next one has a new connection", async (ground) => {
  await using proxy = await FaultyProxy.open(ground.server.port);
  const client = ground.client({ port: proxy.port, commandTimeoutMs: 200 });
  assertEquals(await client.publish(fresh("news"), "flows"), 0);

  proxy.freeze("present");
  const error = await assertRejects(() => client.publish(fresh("news"), "freezes"), ConnectionError);

  assert(error.cause instanceof TimeoutError);
  assertEquals(await client.publish(fresh("news"), "flows again"), 0);
  assertEquals(proxy.accepted, 2);
  assertEquals(ground.unhandled, []);
});

function assertBelievable(gap: Gap | undefined, froze: number, tookMs: number): void {
  assert(gap !== undefined, "No gap was told");
  const sinceMs = gap.since.getTime() - froze;
  assertEquals([gap.reasons, gap.dropped], [["reconnect"], 0]);
  assert(Math.abs(sinceMs) <= 250, `since ${sinceMs} ms after it froze`);
  assert(Math.abs(gap.downMs - tookMs) <= 350, `downMs ${gap.downMs}, and it took ${tookMs} ms`);
}

async function take(pubsub: PubSub, count: number): Promise<{ payload: string; gap: Gap | undefined }[]> {
  const messages: { payload: string; gap: Gap | undefined }[] = [];
  for await (const message of pubsub) if (messages.push(message) === count) break;
  return messages;
}

/** How often the server was sent PING, as INFO counts it. */
async function countPings({ raw }: Ground): Promise<number> {
  const text = String(await raw.ask("INFO", "commandstats"));
  return Number(/^cmdstat_ping:calls=(\d+)/m.exec(text)?.[1] ?? 0);
}
