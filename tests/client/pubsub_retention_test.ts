/** What a consumer that keeps a few small payloads keeps alive with them: never what was read with them. */
import { bytes, Client, type Codec, json, text } from "@earshot/redis";
import { assert, assertEquals } from "@std/assert";
import { concat } from "../../src/resp/writer.ts";
import { SPAN_BYTES } from "../../src/run/run.ts";
import { floodDial } from "../support/flood.ts";
import { collect, held } from "../support/garbage.ts";
import { testUnless } from "../support/skip.ts";

const CANNOT = collect === undefined ? "the garbage collector cannot be asked to run" : undefined;
const KIB = 1_024;
const MIB = 1_024 * KIB;
/** The size of a read. */
const READ = 64 * KIB;
/** How much is poured: enough that what else the runtime keeps weighs little. */
const POURED = 40 * MIB;
/** What an object and its array take besides, and what the runtime does in the meantime. */
const [OVERHEAD, SLACK] = [256, MIB];

const encoder = new TextEncoder();

function frame(payload: string): Uint8Array {
  return encoder.encode(`>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$${encoder.encode(payload).length}\r\n${payload}\r\n`);
}

/** What one read brings: a payload of 10 bytes and one of 100 that are kept, far apart, the rest is passed over. */
function oneRead(fillers: readonly string[]): { bytes: Uint8Array; count: number } {
  const kept = [frame("K".repeat(10)), frame("K".repeat(100))];
  const parts: Uint8Array[] = [];
  let size = kept.reduce((sum, { length }) => sum + length, 0);
  for (let i = 0;; i++) {
    const filler = frame(fillers[i % fillers.length]!);
    if ((size += filler.length) > READ) break;
    parts.push(filler);
  }
  parts.splice(Math.floor(parts.length / 3), 0, kept[0]!);
  parts.splice(Math.floor(parts.length / 2), 0, kept[1]!);
  return { bytes: concat(parts), count: parts.length };
}

/** Pours the same bytes again and again, `times` times, at most 64 KiB a read. */
function pouring(bytes: Uint8Array, times = 1): (room: Uint8Array) => number {
  let left = bytes.length * times;
  return (room) => {
    const from = (bytes.length * times - left) % bytes.length;
    const part = bytes.subarray(from, from + Math.min(room.length, READ));
    if (left === 0) return 0;
    room.set(part);
    left -= part.length;
    return part.length;
  };
}

const CODECS: readonly (readonly [name: string, codec: Codec<unknown>, isKept: (payload: unknown) => boolean])[] = [
  ["text", text, (payload) => (payload as string).startsWith("K")],
  ["bytes", bytes, (payload) => (payload as Uint8Array)[0] === "K".charCodeAt(0)],
  ["a codec of one's own", { decode: (payload) => payload }, (payload) => (payload as Uint8Array)[0] === 0x4b],
];
const FILLERS: readonly (readonly [what: string, fillers: readonly string[]])[] = [
  ["16 bytes", ["f".repeat(16)]],
  ["1 KiB", ["f".repeat(KIB)]],
  ["all sizes", ["", "f", "f".repeat(50), "f".repeat(200), "f".repeat(3_000), "f".repeat(20_000)]],
  ["16 bytes that are not ASCII", ["ä".repeat(8)]],
];

for (const [name, codec, isKept] of CODECS) {
  for (const [what, fillers] of FILLERS) {
    testUnless(
      CANNOT,
      `10 and 100 bytes of every 64 KiB read are kept, by ${name}, among payloads of ${what}`,
      async () => {
        const reads = POURED / READ;
        const { bytes, count } = oneRead(fillers);
        await using client = new Client({ dial: floodDial({ fill: pouring(bytes, reads) }) });
        let left = reads * count;
        const pubsub = await client.subscribe("news", { codec });
        const kept: unknown[] = [];
        const before = await held();
        for await (const batch of pubsub.batches()) {
          for (const { payload } of batch) if (isKept(payload)) kept.push(payload);
          if ((left -= batch.length) === 0) break;
        }
        const each = (await held() - before - SLACK) / kept.length;
        assert(each <= SPAN_BYTES + OVERHEAD, `A payload of 55 bytes keeps ${Math.round(each)} alive`);
        assertEquals(kept.length, 2 * reads);
      },
    );
  }
}

const LARGE = 20 * MIB;

/** Pours one message whose payload is a string of JSON of 20 MiB, which is nowhere but in the rooms. */
function pouringLarge(): (room: Uint8Array) => number {
  const head = encoder.encode(`>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$${LARGE}\r\n"`);
  const tail = encoder.encode('"\r\n');
  const size = head.length + LARGE - 2 + tail.length;
  let at = 0;
  return (room) => {
    const part = room.subarray(0, Math.min(READ, size - at));
    part.fill("x".charCodeAt(0));
    if (at === 0) part.set(head);
    for (const [i, byte] of tail.entries()) {
      const place = size - tail.length + i - at;
      if (place >= 0 && place < part.length) part[place] = byte;
    }
    at += part.length;
    return part.length;
  };
}

const LARGE_CODECS: readonly (readonly [name: string, codec: Codec<unknown>])[] = [
  ["text", text],
  ["bytes", bytes],
  ["json", json],
  ["one that keeps nothing", { decode: () => undefined }],
];

for (const [name, codec] of LARGE_CODECS) {
  testUnless(
    CANNOT,
    `a payload of 20 MiB is let go when its consumer lets go, though nothing comes after it: ${name}`,
    async () => {
      await using client = new Client({ dial: floodDial({ fill: pouringLarge() }) });
      const pubsub = client.pubsub<unknown>({ codec, maxQueuedBytes: 2 * LARGE });
      const reader = pubsub.readable.getReader();
      const before = await held();
      await pubsub.subscribe("news");
      assertEquals((await reader.read()).value?.channel, "news");
      const left = await held() - before;
      assert(left < LARGE / 4, `${Math.round(left / MIB)} MiB are held`);
    },
  );
}

testUnless(
  CANNOT,
  "a chunk that a transport brings in memory of its own is let go when it is read to its end",
  async () => {
    const small = frame("x".repeat(KIB));
    const count = Math.floor(LARGE / small.length);
    let sent = 0;
    const largeChunk = () => {
      const chunk = new Uint8Array(count * small.length);
      for (let i = 0; i < count; i++) chunk.set(small, i * small.length);
      return chunk;
    };
    const dial = floodDial({ fill: () => 0 });
    await using client = new Client({
      dial: async (endpoint, options) => {
        const transport = await dial(endpoint, options);
        return {
          // Behind the answers to HELLO and SUBSCRIBE.
          read: (room) => sent++ === 2 ? Promise.resolve(largeChunk()) : transport.read(room),
          write: (bytes) => transport.write(bytes),
          close: () => transport.close(),
        };
      },
    });
    const pubsub = client.pubsub({ maxQueuedBytes: 2 * LARGE });
    const batches = pubsub.batches({ maxBatch: count }).getReader();
    const before = await held();
    await pubsub.subscribe("news");
    for (let taken = 0; taken < count;) taken += (await batches.read()).value!.length;
    const left = await held() - before;
    assert(left < LARGE / 4, `${Math.round(left / MIB)} MiB are held`);
  },
);

testUnless(CANNOT, "names that match a pattern are forgotten, however many come", async () => {
  const names = 100_000;
  let next = 0;
  const fill = (room: Uint8Array) => {
    let at = 0;
    for (; next < names; next++) {
      // At first many in a run, then few: what the long ones have left behind must not hold what comes after.
      const payload = "x".repeat(next < 1_000 ? 0 : 500);
      const channel = `channel:${next}`;
      const bytes = encoder.encode(
        `>4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$${channel.length}\r\n${channel}\r\n$${payload.length}\r\n${payload}\r\n`,
      );
      if (at + bytes.length > room.length) break;
      room.set(bytes, at);
      at += bytes.length;
    }
    return at;
  };
  await using client = new Client({ dial: floodDial({ fill }) });
  const pubsub = client.pubsub();
  const batches = pubsub.batches().getReader();
  const before = await held();
  await pubsub.psubscribe("*");
  for (let taken = 0; taken < names;) taken += (await batches.read()).value!.length;
  const left = await held() - before;
  assert(left < 4 * MIB, `${Math.round(left / names)} bytes are held for each of ${names} names`);
});
