/**
 * What a subscribed channel costs: the heap before and after one `subscribe()` of many names, and again after a message
 * on each of them. The strings of the names are the caller's; what they take is told apart.
 */

import fs from "node:fs";
import process from "node:process";
import { Client } from "../../mod.ts";
import { each, type Held, held } from "./memory_heap.ts";

/** What the program is told, as its one argument, in JSON. */
export interface ChannelsTask {
  /** Of a Redis server, on 127.0.0.1. */
  readonly port: number;
  readonly channels: number;
}

/** What it measured, in bytes a channel. */
export interface ChannelsOutcome {
  /** The caller's array of names, with its strings. */
  readonly names: Held;
  /** What `subscribe()` added. */
  readonly subscribed: Held;
  /** What `subscribe()` and one message on each channel added. */
  readonly heard: Held;
}

/** So many messages are on their way at once. */
const AT_ONCE = 1_000;
const DIGITS = 6;

const { port, channels }: ChannelsTask = JSON.parse(process.argv[2] ?? "");

/** Out of bytes, so that a string is no sum of others that it keeps. */
function names(): string[] {
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
  return Array.from(
    { length: channels },
    (_, index) => decoder.decode(encoder.encode(`channel:${String(index).padStart(DIGITS, "0")}`)),
  );
}

/** Resolves when a message has come on every channel; goes on reading, since leaving the loop would unsubscribe. */
function heardAll(messages: AsyncIterable<{ readonly channel: string; readonly payload: string }>): Promise<void> {
  let [count, sum] = [0, 0];
  return new Promise((resolve, reject) => {
    const read = async () => {
      for await (const { channel, payload } of messages) {
        if (!channel.endsWith(payload)) throw new Error(`A message came on another channel: ${channel}`);
        sum += Number(payload);
        if (++count === channels) break;
      }
      if (sum !== channels * (channels - 1) / 2) throw new Error(`A channel was heard twice: ${sum}`);
    };
    read().then(resolve, reject);
  });
}

await using redis = new Client({ host: "127.0.0.1", port });
await using pubsub = await redis.subscribe("first");
const heard = heardAll({ [Symbol.asyncIterator]: () => pubsub.readable.values({ preventCancel: true }) });

// Whatever is made once, is made before.
await redis.publish("none", "");
const empty = await held();
const all = names();
const named = await held();
await pubsub.subscribe(all);
const subscribed = await held();
for (let from = 0; from < channels; from += AT_ONCE) {
  await Promise.all(all.slice(from, from + AT_ONCE).map((name) => redis.publish(name, name.slice(-DIGITS))));
}
await heard;
const outcome: ChannelsOutcome = {
  names: each(empty, named, channels),
  subscribed: each(named, subscribed, channels),
  heard: each(named, await held(), channels),
};
fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
process.exit(0);
