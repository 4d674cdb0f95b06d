/** Streams that nobody reads, beside one that keeps up, under every policy that does not block. */
import { type Message, OverflowError } from "@earshot/redis";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fresh, ownGround, RESP2, RESP3 } from "../support/ground.ts";
import { until } from "../support/until.ts";

const COUNT = 20_000;
const LIMIT = 100;
const CHANNELS = 4;

ownGround(
  "Streams that nobody reads stall no neighbour, stay bounded, and account for every message",
  async (ground) => {
    const stem = fresh("ticks");
    const channels = Array.from({ length: CHANNELS }, (_, i) => `${stem}-${i}`);
    const pubsub = await ground.client().subscribe(channels);
    const slow = (["drop-oldest", "drop-newest", "latest", "error"] as const).map((overflow) => ({
      overflow,
      stream: pubsub.stream({ channels }, { overflow, maxQueuedMessages: LIMIT }),
    }));
    await pubsub.synced();
    const account = async () => {
      let published = COUNT;
      const { queued, dropped, delivered } = pubsub.stats();
      // Of the stream that has failed what waits is counted until it is taken; latest holds one of each channel.
      assert(queued <= 3 * LIMIT + CHANNELS, `${queued} messages wait`);
      assert(delivered >= COUNT && dropped > 0);
      for (const { overflow, stream } of slow) {
        const reader = stream.getReader();
        const taken: Message[] = [];
        const read = async (count: number) => {
          while (taken.length < count) taken.push((await reader.read()).value!);
        };
        if (overflow === "error") {
          await read(LIMIT);
          assertEquals(taken.map(({ payload }) => Number(payload)), Array.from({ length: LIMIT }, (_, i) => i));
          await assertRejects(() => reader.read(), OverflowError);
          continue;
        }
        const waiting = overflow === "latest" ? CHANNELS : LIMIT;
        await read(waiting);
        if (overflow === "drop-newest") {
          // What was left out is told on what comes next.
          await ground.raw.ask("PUBLISH", channels[0]!, published++);
          await read(waiting + 1);
        }
        const told = taken.reduce((sum, { gap }) => sum + (gap?.dropped ?? 0), 0);
        assertEquals([overflow, taken.length + told], [overflow, published]);
        const last = taken.slice(-CHANNELS).map(({ payload }) => Number(payload)).sort((a, b) => a - b);
        if (overflow !== "drop-newest") assertEquals(last, [4, 3, 2, 1].map((back) => published - back));
      }
    };
    const reading = (async () => {
      let next = 0;
      for await (const { payload, gap } of pubsub) {
        if (Number(payload) !== next || gap !== undefined) assertEquals([Number(payload), gap], [next, undefined]);
        // The others must be looked at first: to leave the loop closes them.
        if (++next === COUNT) return await account();
      }
    })();
    for (let first = 0; first < COUNT; first += 1_000) {
      const burst = Array.from({ length: 1_000 }, (_, i) => first + i);
      await ground.raw.askAll(burst.map((number) => ["PUBLISH", channels[number % CHANNELS]!, number]));
    }
    await reading;
    await until("the end of the subscriber", 5_000, () => ground.count("closed") === 1);
    assertEquals([ground.count("gap"), ground.count("disconnected"), ground.unhandled], [0, 0, []]);
  },
  [RESP3, RESP2],
);
