/** A subscriber to which very many messages come with every read. */
import { bytes, Client, type Message, type PubSub } from "@earshot/redis";
import { assert, assertEquals } from "@std/assert";
import { encodeReply } from "../../src/resp/writer.ts";
import { floodDial } from "../support/flood.ts";
import { test } from "../support/test.ts";
import { turn } from "../support/turn.ts";
import { push } from "../support/wire.ts";

const COUNT = 3_000;

/** A client of a server that sends the numbers from 0 to the channel `news`, as many as go into each read. */
function numbersTo(protocol: 2 | 3, count = COUNT): Client {
  let next = 0;
  let frame = encodeReply(push("message", "news", "0"), protocol);
  const fill = (room: Uint8Array) => {
    let at = 0;
    while (next < count && at + frame.length <= room.length) {
      room.set(frame, at);
      at += frame.length;
      frame = encodeReply(push("message", "news", String(++next)), protocol);
    }
    return at;
  };
  return new Client({ dial: floodDial({ protocol, fill }), protocol });
}

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

/** Takes everything up to the last number; `look` is called before each. */
async function takeAll(stream: ReadableStream<Message>, look: () => void): Promise<string[]> {
  const taken: string[] = [];
  const reader = stream.getReader();
  while (taken.length < COUNT) {
    look();
    const { value, done } = await reader.read();
    if (done) break;
    assertEquals(value.gap, undefined);
    taken.push(value.payload);
  }
  reader.releaseLock();
  return taken;
}

const NUMBERS = Array.from({ length: COUNT }, (_, i) => String(i));

for (const protocol of [3, 2] as const) {
  for (const limit of [1, 2, 7, 100]) {
    test(`in RESP${protocol} a stream that blocks never holds more than its ${limit} messages, and loses none`, async () => {
      await using client = numbersTo(protocol);
      const pubsub = await client.subscribe("news", { overflow: "block", maxQueuedMessages: limit });
      await settled();
      assertEquals([pubsub.stats().queued, pubsub.stats().received], [limit, limit]);
      let most = 0;
      const taken = await takeAll(pubsub.readable, () => most = Math.max(most, pubsub.stats().queued));
      assertEquals([taken, most], [NUMBERS, limit]);
      const { received, delivered, dropped } = pubsub.stats();
      assertEquals([received, delivered, dropped], [COUNT, COUNT, 0]);
    });
  }

  test(`in RESP${protocol} a stream that blocks is bounded in bytes too`, async () => {
    await using client = numbersTo(protocol);
    const pubsub = await client.subscribe("news", { overflow: "block", maxQueuedBytes: 10 });
    await settled();
    // Ten payloads of one digit.
    assertEquals([pubsub.stats().queued, pubsub.stats().queuedBytes], [10, 10]);
    let most = 0;
    const taken = await takeAll(pubsub.readable, () => most = Math.max(most, pubsub.stats().queuedBytes));
    assertEquals(taken, NUMBERS);
    // Full is what has reached the limit: the last one may go beyond it.
    assert(most < 10 + 4, `${most} bytes waited`);
  });
}

for (const overflow of ["drop-oldest", "drop-newest", "error"] as const) {
  for (const limit of [1, 2, 100]) {
    test(`with ${overflow} a consumer that keeps up loses nothing with a queue of ${limit}, however much comes at once`, async () => {
      await using client = numbersTo(3);
      const pubsub = await client.subscribe("news", { overflow, maxQueuedMessages: limit });
      // A call that waits for the server lets a full stream take more, yet not more than it can hold.
      const local = pubsub.stream({ channels: "news" });
      const taken: string[] = [];
      for await (const { payload } of pubsub) {
        taken.push(payload);
        if (payload === "500") pubsub.subscribe("other").catch(() => {});
        if (taken.length === COUNT || pubsub.stats().dropped > 0) break;
      }
      assertEquals(taken, NUMBERS);
      await local.cancel().catch(() => {});
      await using other = numbersTo(3);
      const platform = await other.subscribe("news", { overflow, maxQueuedMessages: limit });
      assertEquals(await takeAll(platform.readable, () => {}), NUMBERS);
      assertEquals([pubsub.stats().dropped, platform.stats().dropped], [0, 0]);
    });
  }
}

test("a stream whose consumer dawdles is given a turn when it comes back for more, and holds up no other", async () => {
  await using client = numbersTo(3);
  const pubsub = await client.subscribe("news", { maxQueuedMessages: COUNT });
  const slow = pubsub.stream({ channels: "news" }, { maxQueuedMessages: 2 }).getReader();
  const first = slow.read();
  assertEquals(await take(pubsub, COUNT), NUMBERS);
  assertEquals((await first).value?.gap, undefined);
});

test("of several streams the one that is full holds back all, and each gets everything once", async () => {
  await using client = numbersTo(3);
  const pubsub = await client.subscribe("news", { maxQueuedMessages: COUNT });
  // The first messages may have come before they stand.
  const streams = [3, 50].map((limit) => {
    return pubsub.stream({ channels: "news" }, { overflow: "block", maxQueuedMessages: limit });
  });
  const [quick, slow] = streams.map((stream) => stream.getReader());
  const seen: [string[], string[]] = [[], []];
  const read = async (reader: ReadableStreamDefaultReader<Message>, into: string[]) => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      into.push(value.payload);
      if (value.payload === String(COUNT - 1)) return;
      assert(pubsub.stats().queued <= COUNT + 53);
    }
  };
  await Promise.all([read(quick!, seen[0]), read(slow!, seen[1])]);
  for (const numbers of seen) assertEquals(numbers, NUMBERS.slice(Number(numbers[0])));
  assertEquals(await take(pubsub, COUNT), NUMBERS);
});

async function take(pubsub: PubSub, count: number): Promise<string[]> {
  const taken: string[] = [];
  for await (const { payload } of pubsub) {
    taken.push(payload);
    if (taken.length === count) break;
  }
  return taken;
}

test("closing in the middle of a run that waits ends it, and leaves nothing", async () => {
  await using client = numbersTo(3);
  const pubsub = await client.subscribe("news", { overflow: "block", maxQueuedMessages: 5 });
  await settled();
  const taken = await take(pubsub, 3);
  assertEquals(taken, ["0", "1", "2"]);
  await pubsub.close();
  assertEquals([pubsub.stats().queued, pubsub.stats().dropped], [0, 0]);
});

test("payloads that are kept are what they were, however much comes after them", async () => {
  for (const codec of ["text", "bytes"] as const) {
    await using client = numbersTo(3);
    const pubsub = await client.subscribe<unknown>("news", codec === "bytes" ? { codec: bytes } : {});
    const kept: unknown[] = [];
    for await (const { payload } of pubsub) {
      kept.push(payload);
      if (kept.length === COUNT) break;
    }
    const texts = kept.map((payload) => payload instanceof Uint8Array ? new TextDecoder().decode(payload) : payload);
    assertEquals(texts, NUMBERS);
  }
});
