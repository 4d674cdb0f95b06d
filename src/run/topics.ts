/**
 * What messages are published on, one object for each: a name is decoded once, and whoever routes by it looks it up once.
 *
 * @module
 */

import type { Kind } from "../message.ts";
import { decodeName } from "../name.ts";
import type { Run } from "./run.ts";

/** So many topics are always remembered. */
const ALWAYS = 4096;
/** A longer header, in bytes, is not remembered. */
const LONGEST = 288;
/** Before this byte the headers of all messages of a kind are the same. */
const SAME = 16;
const WORD = 8;
/** There stands what equals nothing: the words of a topic that is in no table. */
const NOWHERE = 0;
const FIRST_SLOTS = 64;
const FIRST_WORDS = 256;

/** Takes messages out of runs. */
export interface Receiver {
  /** Takes message `i`, which counts as taken; it may also take those behind it of which it was found at the same time. */
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
  /** How long the header of its messages is, in bytes. */
  length = WORD;
  /** Its place in the table that it is in: its hash, and where the words of that header stand. */
  hash = 0;
  at = NOWHERE;
  /** What came after it the last time. */
  next: Topic = this;

  /** A topic that is in no table. */
  constructor(kind: Kind, channel: string, pattern: string | undefined) {
    this.kind = kind;
    this.channel = channel;
    this.pattern = pattern;
  }
}

/**
 * The header of a message: what stands before the length of its payload. It begins with the type at `at`, and ends, after
 * `length` bytes, with a `$`. The names stand where these say, the ends are exclusive; without a pattern it has an empty one.
 */
export interface Header {
  readonly kind: Kind;
  readonly at: number;
  readonly length: number;
  readonly patternFrom: number;
  readonly patternTo: number;
  readonly channelFrom: number;
  readonly channelTo: number;
}

/**
 * The topics of one connection, found by the headers of their messages as they stand on the wire.
 *
 * 1. The key is the whole header: it says the lengths of the names, so that a name may hold what looks like the end of one.
 *    It is compared in words of eight bytes, read as floating-point numbers, of which the last overlaps the one before it:
 *    five words for a channel of ten characters. Two such numbers that are equal are the same bytes, unless they are zero,
 *    and those that are not a number equal nothing: a header with such a word, which no name in UTF-8 without a NUL makes,
 *    is not remembered.
 * 2. Keys lie one behind the other in one array: a typed array of its own would cost each of them 200 bytes.
 * 3. Most messages follow one on the same channel, and publishers often go round their channels. So the last topic, and
 *    what came after it the last time, are compared before anything of the header is read.
 * 4. It forgets all when it holds twice as many as there are subscriptions, and more than a few thousand: the names that
 *    match a pattern never end.
 */
export class Topics {
  readonly #subscriptions: () => number;
  /** A topic stands in the first free slot at or after the one that its hash names; at least half of them are free. */
  #slots: (Topic | undefined)[] = new Array(FIRST_SLOTS);
  #size = 0;
  #words = newWords(FIRST_WORDS);
  #used = NOWHERE + 1;
  /** What was found last. */
  #last = new Topic("channel", "", undefined);

  /** An empty table; `subscriptions` tells how many there are now. */
  constructor(subscriptions: () => number) {
    this.#subscriptions = subscriptions;
  }

  /** The topic of a message that begins at `at`, where it is one of those that are likely; `left` bytes are left there. */
  guess(view: DataView, at: number, left: number): Topic | undefined {
    const last = this.#last;
    if (left >= last.length && this.#isAt(last, view, at)) return last;
    const { next } = last;
    return left >= next.length && this.#isAt(next, view, at) ? this.#last = next : undefined;
  }

  /** The topic whose header stands in `bytes`, of which `view` is a view. */
  find(bytes: Uint8Array, view: DataView, header: Header): Topic {
    const topic = header.length > LONGEST ? decode(bytes, header) : this.#lookUp(bytes, view, header);
    // One that is in no table would never be forgotten.
    if (topic.at !== NOWHERE && this.#last.at !== NOWHERE) this.#last.next = topic;
    return this.#last = topic;
  }

  #isAt({ at: word, length }: Topic, view: DataView, at: number): boolean {
    const words = this.#words;
    const last = at + length - WORD;
    // The ends of names differ most often, and they stand there.
    if (view.getFloat64(last, true) !== words[word]) return false;
    for (; at < last; at += WORD) if (view.getFloat64(at, true) !== words[++word]) return false;
    return true;
  }

  #lookUp(bytes: Uint8Array, view: DataView, header: Header): Topic {
    const { at, length } = header;
    let hash = length;
    // What is left over are some of the three bytes that every header ends with.
    for (let byte = at + SAME; byte <= at + length - 4; byte += 4) {
      hash = (Math.imul(hash, 31) + view.getInt32(byte, true)) | 0;
    }
    hash = Math.imul(hash ^ hash >>> 15, 0x9e3779b1);
    hash ^= hash >>> 15;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const topic = slots[slot];
      if (topic === undefined) return this.#add(decode(bytes, header), hash, view, header);
      if (topic.hash === hash && topic.length === length && this.#isAt(topic, view, at)) return topic;
    }
  }

  #add(topic: Topic, hash: number, view: DataView, { at, length }: Header): Topic {
    if (this.#size >= ALWAYS && this.#size >= 2 * this.#subscriptions()) this.#forget();
    const count = Math.ceil(length / WORD);
    while (this.#used + count > this.#words.length) this.#growWords();
    const last = at + length - WORD;
    for (let i = 0; i < count; i++) {
      const word = view.getFloat64(i === 0 ? last : at + (i - 1) * WORD, true);
      if (word === 0 || Number.isNaN(word)) return topic;
      this.#words[this.#used + i] = word;
    }
    topic.at = this.#used;
    topic.hash = hash;
    this.#used += count;
    if (2 * ++this.#size > this.#slots.length) {
      const topics = this.#slots;
      this.#slots = new Array(2 * topics.length);
      for (const topic of topics) if (topic !== undefined) this.#put(topic);
    }
    this.#put(topic);
    return topic;
  }

  #put(topic: Topic): void {
    const mask = this.#slots.length - 1;
    let slot = topic.hash & mask;
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask;
    this.#slots[slot] = topic;
  }

  #forget(): void {
    for (const topic of this.#slots) {
      if (topic === undefined) continue;
      topic.at = NOWHERE;
      // Whoever keeps one of them should not keep those that came after it.
      topic.next = topic;
    }
    this.#slots = new Array(FIRST_SLOTS);
    this.#size = 0;
    this.#words = newWords(FIRST_WORDS);
    this.#used = NOWHERE + 1;
  }

  #growWords(): void {
    const words = newWords(2 * this.#words.length);
    words.set(this.#words);
    this.#words = words;
  }
}

function decode(bytes: Uint8Array, header: Header): Topic {
  const { kind, length, patternFrom, patternTo, channelFrom, channelTo } = header;
  const channel = decodeName(bytes.subarray(channelFrom, channelTo));
  const pattern = kind === "pattern" ? decodeName(bytes.subarray(patternFrom, patternTo)) : undefined;
  const topic = new Topic(kind, channel, pattern);
  topic.length = length;
  return topic;
}

function newWords(count: number): Float64Array {
  return new Float64Array(count).fill(NaN, NOWHERE, NOWHERE + 1);
}
