/**
 * Pub/Sub joined with a log: every entry exactly once and in order, at the speed of Pub/Sub, over lost connections and
 * queues that overflow. The log is a Redis stream (Redis 6.2 and later); a table with a growing key would do as well.
 *
 * @module
 */

import type { Client, Codec, Message } from "@earshot/redis";

/** One entry of the log. */
export interface Entry {
  /** Its id in the stream, such as `1700000000000-0`. */
  readonly id: string;
  readonly data: string;
}

/** One step for the server, so that the log and the channel have the same order. */
const APPEND = `
local id = redis.call("XADD", KEYS[1], "MAXLEN", "~", 100000, "*", "data", ARGV[1])
redis.call("PUBLISH", KEYS[1], id .. " " .. ARGV[1])
return id`;

/** How many entries of the log are read at once. */
const PAGE = 100;

/** Appends to the log, and tells it to whoever follows. */
export async function append(redis: Client, key: string, data: string): Promise<void> {
  await redis.command(["EVAL", APPEND, 1, key, data]);
}

/** Every entry after `last`: those that are there, then those that come. */
export async function* follow(redis: Client, key: string, last = "0-0"): AsyncGenerator<Entry> {
  /** What the log has after the last entry that was seen. */
  async function* missing(signal?: AbortSignal): AsyncGenerator<Message<Entry>> {
    for (let at = last;;) {
      const page = await redis.command(["XRANGE", key, `(${at}`, "+", "COUNT", PAGE], signal && { signal });
      const entries = page.type === "array" ? page.value : [];
      for (const entry of entries) {
        const [id, fields] = entry.type === "array" ? entry.value : [];
        if (id?.type !== "bulk-string" || fields?.type !== "array" || fields.value[1]?.type !== "bulk-string") continue;
        at = textOf(id.value);
        const payload = { id: at, data: textOf(fields.value[1].value) };
        yield { kind: "channel", channel: key, pattern: undefined, payload, gap: undefined };
      }
      if (entries.length < PAGE) return;
    }
  }

  // Subscribed first: what is published while the log is read waits in the queue.
  await using news = await redis.subscribe<Entry>(key, { codec, backfill: (_, signal) => missing(signal) });
  for await (const { payload } of missing()) {
    last = payload.id;
    yield payload;
  }
  for await (const { payload, gap } of news) {
    if (gap?.backfill === "unfilled") {
      // The log could not be read in time. Here it is read again, and a failure is the end.
      for await (const { payload } of missing()) {
        last = payload.id;
        yield payload;
      }
    }
    // What the log gave comes from the channel, too.
    if (!isAfter(payload.id, last)) continue;
    last = payload.id;
    yield payload;
  }
}

/** What {@linkcode append} publishes: the id, a space, the data. */
const codec: Codec<Entry> = {
  decode(bytes) {
    const space = bytes.indexOf(0x20);
    return { id: textOf(bytes.subarray(0, space)), data: textOf(bytes.subarray(space + 1)) };
  },
};

function isAfter(id: string, other: string): boolean {
  const [ms = 0, sequence = 0] = id.split("-").map(Number);
  const [otherMs = 0, otherSequence = 0] = other.split("-").map(Number);
  return ms > otherMs || (ms === otherMs && sequence > otherSequence);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
