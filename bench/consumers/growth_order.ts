/**
 * `for await` over many channels, which take turns by their number or in an order that jumps. Out of memory: what a
 * socket adds would be the same for all, and hide the difference. The floor finds nothing: it has the names in the order
 * in which they come, and makes a message and a promise for each.
 */

import fs from "node:fs";
import process from "node:process";
import { Client, type Message } from "../../mod.ts";
import { channelNames, cycle, fold } from "../frames.ts";
import { Feed, repeated } from "./growth_feed.ts";

/** What the program is told, as its one argument, in JSON. */
export interface OrderTask {
  readonly channels: number;
  readonly order: "round robin" | "shuffled";
  readonly reader: "Earshot" | "floor";
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What it measured: messages a second. */
export type OrderOutcome = number;

/** The bytes that repeat are as many for every number of channels, so that caches hold as little of them. */
const CYCLE_BYTES = 8 * 1024 * 1024;
const PIECE = 64 * 1024;
/** Messages between two looks at the clock. */
const STRIDE = 1024;

/** The floor makes as many messages at once as a run has. */
const GROUP = 256;

const decoder = new TextDecoder();
const { channels, order, reader, payloadBytes, warmUpMs, measureMs }: OrderTask = JSON.parse(process.argv[2] ?? "");

/** The frames of a cycle, each by itself, in the order in which they are to come. */
function frames(): Uint8Array[] {
  const one = cycle({ payloadBytes, channels }, 3);
  const all: Uint8Array[] = [];
  for (let at = 0; at < one.length;) {
    const next = one.indexOf(0x3e, at + 1); // > stands nowhere else
    all.push(one.subarray(at, at = next < 0 ? one.length : next));
  }
  if (order === "shuffled") shuffle(all);
  return all;
}

/** The same order in every run. */
function shuffle(all: Uint8Array[]): void {
  let random = 1;
  for (let i = all.length - 1; i > 0; i--) {
    random = Math.imul(random, 1_664_525) + 1_013_904_223 >>> 0;
    const j = Math.floor(random / 2 ** 32 * (i + 1));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return repeated(bytes, Math.max(1, Math.round(CYCLE_BYTES / bytes.length)));
}

/** What comes, in the names that are given. */
function contents(parts: readonly Uint8Array[], names: readonly string[]): { channel: string; payload: string }[] {
  const own = new Map(names.map((name) => [name, name]));
  return parts.map((part) => {
    const [, , , , channel = "", , payload = ""] = decoder.decode(part).split("\r\n");
    return { channel: own.get(channel)!, payload };
  });
}

/** The least that hands out messages. */
class Least implements AsyncIterableIterator<Message> {
  readonly #channels: string[];
  /** All payloads, one behind the other. */
  readonly #text: string;
  readonly #group: Message[] = [];
  #at = 0;
  #made = 0;

  constructor(seen: readonly { channel: string; payload: string }[]) {
    this.#channels = seen.map(({ channel }) => channel);
    this.#text = seen.map(({ payload }) => payload).join("");
  }

  next(): Promise<IteratorResult<Message>> {
    if (this.#at === this.#group.length) this.#make();
    return Promise.resolve({ value: this.#group[this.#at++]!, done: false });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #make(): void {
    this.#at = 0;
    for (let i = 0; i < GROUP; i++) {
      const from = payloadBytes * this.#made;
      const payload = this.#text.substring(from, from + payloadBytes);
      this.#group[i] = {
        kind: "channel",
        channel: this.#channels[this.#made]!,
        pattern: undefined,
        payload,
        gap: undefined,
      };
      if (++this.#made === this.#channels.length) this.#made = 0;
    }
  }
}

/** The checksum of the first `count` messages, out of the frames themselves. */
function expected(seen: readonly { channel: string; payload: string }[], count: number): number {
  let checksum = 0;
  for (let i = 0; i < count; i++) {
    const { channel, payload } = seen[i % seen.length]!;
    checksum = fold(checksum, channel, payload);
  }
  return checksum;
}

async function subscribe(): Promise<AsyncIterable<Message>> {
  const redis = new Client({ dial: feed.dial, protocol: 3 });
  const pubsub = await redis.subscribe(names);
  feed.feed({ bytes: joined(parts), pieceBytes: PIECE, again: () => outcome === 0 });
  return pubsub;
}

const parts = frames();
const names = channelNames(channels);
const seen = contents(parts, names);
let [count, checksum, from, before, outcome] = [0, 0, 0, 0, 0];
await using feed = new Feed();
const messages = reader === "floor" ? new Least(seen) : await subscribe();
await consume();
if (checksum !== expected(seen, count)) throw new Error(`Other messages came than were fed: ${count}`);
fs.writeSync(1, `${JSON.stringify(outcome satisfies OrderOutcome)}\n`);
process.exit(0);

async function consume(): Promise<void> {
  const started = performance.now();
  for await (const { channel, payload, gap } of messages) {
    if (gap !== undefined) throw new Error(`Messages were lost: ${gap.dropped}`);
    checksum = fold(checksum, channel, payload);
    if (++count % STRIDE !== 0) continue;
    const now = performance.now();
    if (from === 0 && now - started >= warmUpMs) [from, before] = [now, count];
    if (from === 0 || now - from < measureMs) continue;
    outcome = (count - before) / (now - from) * 1e3;
    break;
  }
}
