import type { Gap, Message, PubSub } from "@earshot/redis";
import { assert, assertEquals } from "@std/assert";
import { fresh, type Ground, ownGround, RESP2, RESP3 } from "../support/ground.ts";
import { until } from "../support/until.ts";

const BOTH = [RESP3, RESP2];
const KIB = 1_024;
/** How many commands go out in one write. */
const BURST = 2_000;

/** Lets the server buffer whatever a slow subscriber does not read. */
async function bufferWithoutLimit({ raw }: Ground): Promise<void> {
  await raw.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0");
}

/** Publishes the numbers from `first`, each padded to `bytes`. */
async function publishNumbers(
  { raw }: Ground,
  channel: string,
  first: number,
  count: number,
  bytes = 0,
): Promise<void> {
  for (let done = 0; done < count; done += BURST) {
    const burst = Math.min(BURST, count - done);
    await raw.askAll(
      Array.from({ length: burst }, (_, index) => ["PUBLISH", channel, String(first + done + index).padEnd(bytes)]),
    );
  }
}

/** What the server holds back for the subscriber, in bytes. */
async function heldBack({ raw, clientName }: Ground): Promise<number> {
  const [client] = await raw.clients(clientName);
  return Number(client?.get("omem"));
}

ownGround("A blocked stream is bounded, the server holds the rest, and nothing is lost", async (ground) => {
  await bufferWithoutLimit(ground);
  const channel = fresh("blocked");
  // Once is enough for as many as that: the protocol makes no difference to who holds them.
  const [total, limit] = [ground.dialect === RESP3 ? 200_000 : 40_000, 1_000];
  const pubsub = await ground.client({ keepAlive: { idleMs: 200, timeoutMs: 200 } }).subscribe(channel, {
    overflow: "block",
    maxQueuedMessages: limit,
  });

  await publishNumbers(ground, channel, 0, total, KIB);

  const { queued, queuedBytes, received, dropped } = pubsub.stats();
  assertEquals([queued, queuedBytes, received, dropped], [limit, limit * KIB, limit, 0]);
  const held = await heldBack(ground);
  assert(held > total * KIB / 2, `The server holds only ${held} bytes`);

  let next = 0;
  let most = 0;
  for await (const { payload, gap } of pubsub) {
    if (Number(payload) !== next || gap !== undefined) assertEquals([Number(payload), gap], [next, undefined]);
    if (++next % 1_000 === 0) most = Math.max(most, pubsub.stats().queued);
    if (next === total) break;
  }
  assert(most <= limit, `${most} messages waited`);
  assertEquals(next, total);
  assertEquals([pubsub.stats().dropped, ground.count("overflow"), ground.count("disconnected")], [0, 0, 0]);
  assertEquals(ground.unhandled, []);
}, BOTH);

ownGround("A blocked stream is bounded in bytes, and ends though it is full", async (ground) => {
  await bufferWithoutLimit(ground);
  const channel = fresh("blocked");
  const pubsub = await ground.client().subscribe(channel, { overflow: "block", maxQueuedBytes: 100 * KIB });

  await publishNumbers(ground, channel, 0, 20_000, KIB);
  assertEquals(pubsub.stats().queuedBytes, 100 * KIB);
  await pubsub.close();

  const traces = await ground.raw.traces(ground.clientName, { channels: [channel] });
  assertEquals(traces, { channels: [0], shardChannels: [], patterns: 0, connections: 0 });
  assertEquals(ground.unhandled, []);
}, BOTH);

ownGround(
  "A stream that drops the oldest is bounded, and counts and tells what it dropped where it is missing",
  async (ground) => {
    await bufferWithoutLimit(ground);
    const channel = fresh("dropping");
    const [total, limit] = [50_000, 1_000];
    const pubsub = await ground.client().subscribe(channel, { maxQueuedMessages: limit });

    await publishNumbers(ground, channel, 0, total, KIB);
    await until("all of them", 10_000, () => pubsub.stats().received === total);
    const { queued, queuedBytes, dropped } = pubsub.stats();
    assertEquals([queued, queuedBytes, dropped], [limit, limit * KIB, total - limit]);

    const reader = pubsub.readable.getReader();
    const heard: Message[] = [];
    const read = async (count: number) => {
      for (let taken = 0; taken < count; taken++) heard.push((await reader.read()).value!);
    };
    await read(limit / 2);
    await publishNumbers(ground, channel, total, 2 * limit, KIB);
    await until("the second lot", 10_000, () => pubsub.stats().received === total + 2 * limit);
    await read(limit);

    let expected = 0;
    for (const { payload, gap } of heard) {
      assertEquals(Number(payload), expected + (gap?.dropped ?? 0));
      expected = Number(payload) + 1;
    }
    assertEquals(expected, total + 2 * limit);
    const gaps = heard.flatMap(({ gap }, index) => gap === undefined ? [] : [{ index, gap }]);
    assertEquals(gaps.map(({ index, gap }) => [index, gap.reasons, gap.downMs, gap.dropped]), [
      [0, ["overflow"], 0, total - limit],
      [limit / 2, ["overflow"], 0, 1.5 * limit],
    ]);
    const stats = pubsub.stats();
    assertEquals(stats.delivered + stats.dropped, total + 2 * limit);
    assert(ground.count("overflow") > 0);
    assertEquals(ground.unhandled, []);
  },
  BOTH,
);

ownGround("A subscriber that the server cuts off for being slow comes back, and is told of the gap", async (ground) => {
  const channel = fresh("slow");
  await ground.raw.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1");
  const pubsub = await ground.client({ reconnect: { initialDelayMs: 10 } }).subscribe(channel, {
    overflow: "block",
    maxQueuedMessages: 100,
  });

  await publishNumbers(ground, channel, 0, 30_000, KIB);
  const reading = lastAfterGap(pubsub);
  await until("a recovery", 10_000, () => ground.count("gap") === 1);
  await ground.raw.ask("PUBLISH", channel, "after");

  const { last, gap, payload } = await reading;
  assert(last < 29_999, `All of them came: ${last}`);
  assertEquals([payload, gap.reasons], ["after", ["reconnect"]]);
  const causes = ground.events.flatMap((event) => event.type === "disconnected" ? [event.error.message] : []);
  assertEquals(causes.map((cause) => cause.includes("likely client-output-buffer-limit")), [true], causes.join());
  assertEquals(ground.unhandled, []);
}, BOTH);

/** Reads numbers in order, up to the first message behind a gap. */
async function lastAfterGap(pubsub: PubSub): Promise<{ last: number; gap: Gap; payload: string }> {
  let next = 0;
  for await (const { payload, gap } of pubsub) {
    if (gap !== undefined) return { last: next - 1, gap, payload };
    assertEquals(Number(payload), next++);
  }
  throw new Error(`The stream ended after ${next - 1}`);
}
