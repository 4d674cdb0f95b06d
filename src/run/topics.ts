/**
 * What messages are published on, one object for each: a name is decoded once, and whoever routes by it looks it up once.
 *
 * @module
 */

import type { Kind } from "../message.ts";
import { decodeName } from "../name.ts";
import type { Run } from "./run.ts";

/** Takes messages out of runs. */
export interface Receiver {
  /** Takes message `i`. */
  receive(run: Run, i: number): void;
}

/** What a message was published on, and by which kind of subscription it came. */
export class Topic {
  readonly kind: Kind;
  readonly channel: string;
  readonly pattern: string | undefined;
  /** Who wants these messages. Whoever hands them out keeps it here, and when it was found, in a measure of its own. */
  receiver: Receiver | undefined = undefined;
  found = -1;
  /** Its key in the table that it is in: the hash, the lengths, and where its words stand. */
  hash = 0;
  lengths = -1;
  at = 0;
  /** What came after it the last time. */
  next: Topic | undefined = undefined;

  /** A topic that is in no table. */
  constructor(kind: Kind, channel: string, pattern: string | undefined) {
    this.kind = kind;
    this.channel = channel;
    this.pattern = pattern;
  }
}

/** Where the names of a message stand among its bytes; the ends are exclusive. A message without a pattern has an empty one. */
export interface NameBounds {
  readonly patternFrom: number;
  readonly patternTo: number;
  readonly channelFrom: number;
  readonly channelTo: number;
}

/** So many topics are always remembered. */
const ALWAYS = 4096;
/** A longer key, in bytes, is not remembered. */
const LONGEST = 256;
const FIRST_SLOTS = 64;
const FIRST_WORDS = 256;

/**
 * The topics of one kind, found by their bytes as they stand on the wire.
 *
 * 1. The key is everything from the first name to the end of the last one, and how long that and its last name are: a
 *    name may hold what looks like the end of a name. It is hashed and compared in words of four bytes, of which the last
 *    may reach into the CR LF `$` that follows: so no name needs a loop for its odd bytes.
 * 2. Keys lie one behind the other in one array: a typed array of its own would cost each of them 200 bytes.
 * 3. Publishers often go round their channels. So what came next the last time is compared before anything is hashed.
 * 4. It forgets all when it holds twice as many as there are subscriptions, and more than a few thousand: the names that
 *    match a pattern never end.
 *
 * With 1,000 channels a guess that is right saves 20 to 30 ns a message. A call of the decoder for a name takes 100.
 */
export class Topics {
  readonly #kind: Kind;
  readonly #subscriptions: () => number;
  /** A topic stands in the first free slot at or after the one that its hash names; at least half of them are free. */
  #slots: (Topic | undefined)[] = new Array(FIRST_SLOTS);
  #size = 0;
  #words = new Int32Array(FIRST_WORDS);
  #used = 0;
  /** What was found last. */
  #last = nothing();
  /** What was looked up last. */
  #hash = 0;
  #lengths = 0;

  /** An empty table; `subscriptions` tells how many there are now. */
  constructor(kind: Kind, subscriptions: () => number) {
    this.#kind = kind;
    this.#subscriptions = subscriptions;
  }

  /** The topic whose names stand in `bytes`, of which `view` is a view. At least three bytes follow the channel. */
  find(bytes: Uint8Array, view: DataView, bounds: NameBounds): Topic {
    const from = this.#kind === "pattern" ? bounds.patternFrom : bounds.channelFrom;
    const end = bounds.channelTo;
    if (end - from > LONGEST) return this.#decode(bytes, bounds);
    const lengths = (end - from) * (LONGEST + 1) + end - bounds.channelFrom;
    const guess = this.#last.next;
    if (guess !== undefined && guess.lengths === lengths && this.#isAt(guess.at, view, from, end)) {
      return this.#last = guess;
    }
    const topic = this.#lookUp(lengths, view, from, end) ?? this.#add(this.#decode(bytes, bounds), view, from);
    this.#last.next = topic;
    return this.#last = topic;
  }

  #lookUp(lengths: number, view: DataView, from: number, end: number): Topic | undefined {
    let hash = lengths;
    for (let byte = from; byte < end; byte += 4) hash = (Math.imul(hash, 31) + view.getInt32(byte)) | 0;
    hash = Math.imul(hash ^ hash >>> 15, 0x9e3779b1);
    hash ^= hash >>> 15;
    this.#lengths = lengths;
    this.#hash = hash;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const topic = slots[slot];
      if (topic === undefined) return undefined;
      if (topic.hash === hash && topic.lengths === lengths && this.#isAt(topic.at, view, from, end)) return topic;
    }
  }

  /** Is this key, of the same length, the bytes from `from` to `end`? */
  #isAt(at: number, view: DataView, from: number, end: number): boolean {
    const words = this.#words;
    for (let byte = from; byte < end; byte += 4) if (words[at++] !== view.getInt32(byte)) return false;
    return true;
  }

  /** Adds what was looked up last, and not found. */
  #add(topic: Topic, view: DataView, from: number): Topic {
    if (this.#size >= ALWAYS && this.#size >= 2 * this.#subscriptions()) {
      // Whoever keeps one of them should not keep those that came after it.
      for (const forgotten of this.#slots) if (forgotten !== undefined) forgotten.next = undefined;
      this.#last = nothing();
      this.#slots = new Array(FIRST_SLOTS);
      this.#size = 0;
      this.#words = new Int32Array(FIRST_WORDS);
      this.#used = 0;
    }
    if (2 * ++this.#size > this.#slots.length) {
      const topics = this.#slots;
      this.#slots = new Array(2 * topics.length);
      for (const topic of topics) if (topic !== undefined) this.#put(topic);
    }
    topic.hash = this.#hash;
    topic.lengths = this.#lengths;
    topic.at = this.#used;
    this.#used += (Math.floor(this.#lengths / (LONGEST + 1)) + 3) >> 2;
    while (this.#used > this.#words.length) this.#growWords();
    for (let at = topic.at, byte = from; at < this.#used; at++, byte += 4) this.#words[at] = view.getInt32(byte);
    this.#put(topic);
    return topic;
  }

  #put(topic: Topic): void {
    const mask = this.#slots.length - 1;
    let slot = topic.hash & mask;
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask;
    this.#slots[slot] = topic;
  }

  #decode(bytes: Uint8Array, { patternFrom, patternTo, channelFrom, channelTo }: NameBounds): Topic {
    const channel = decodeName(bytes.subarray(channelFrom, channelTo));
    const pattern = this.#kind === "pattern" ? decodeName(bytes.subarray(patternFrom, patternTo)) : undefined;
    return new Topic(this.#kind, channel, pattern);
  }

  #growWords(): void {
    const words = new Int32Array(2 * this.#words.length);
    words.set(this.#words);
    this.#words = words;
  }
}

/** What stands before the first topic. */
function nothing(): Topic {
  return new Topic("channel", "", undefined);
}
