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
/** What a row has, and where. */
export const ROW = 4;
export const LENGTH = 1;
const HASH = 2;
export const NEXT = 3;
const FIRST_SLOTS = 64;
const FIRST_WORDS = 256;

/** Takes messages out of runs. */
export interface Receiver {
  /** Takes message `i`, which counts as taken; it may also take those behind it of which it was found at the same time. */
  receive(run: Run, i: number): void;
}

/** Who wants messages, and when that was found, in a measure of whoever hands them out. One object for all their topics. */
export interface Route {
  readonly receiver: Receiver | undefined;
  readonly found: number;
}

/** Nobody was looked for. */
const NOWHERE_YET: Route = { receiver: undefined, found: -1 };

/** What a message was published on, and by which kind of subscription it came. A fifth field would take 16 bytes more on Bun. */
export class Topic {
  readonly kind: Kind;
  channel: string;
  pattern: string | undefined;
  /** Kept by whoever hands out the messages. */
  route: Route;

  /** Knows nobody yet. */
  constructor(kind: Kind, channel: string, pattern: string | undefined) {
    this.kind = kind;
    this.channel = channel;
    this.pattern = pattern;
    this.route = NOWHERE_YET;
  }

  /** What it was subscribed to by, in the very string that is kept for that anyway. */
  name(name: string): void {
    if (this.pattern === undefined) this.channel = name;
    else this.pattern = name;
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

const NOBODY = new Topic("channel", "", undefined);

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
 * 4. What is compared lies in rows of numbers, in the order in which the topics came, and not in the topics: those the
 *    collectors of garbage put in the order of the slots, that is of hashes, and each was a cache miss that the next message
 *    had to wait for. With 100,000 channels that were taken in turn, out of memory, Deno got 0.43 of the messages that it
 *    got with 1,000, and Node 0.48; with rows it is 0.97 and 0.98.
 * 5. It forgets all when it holds twice as many as there are subscriptions, and more than a few thousand: the names that
 *    match a pattern never end.
 */
export class Topics {
  readonly #subscriptions: () => number;
  /** A topic stands, by its number, in the first free slot at or after the one that its hash names; half of them are free. */
  #slots = new Int32Array(FIRST_SLOTS);
  /** By number; 0 is that of any that is in no table, the last of them. */
  all: Topic[] = [NOBODY];
  /**
   * For each: where the words of its header stand, how long that is in bytes, its hash, and the row of what came after it
   * the last time. Whoever looks for messages compares them in a loop of its own, without a call: on Bun a batch of 16 bytes
   * takes a twentieth less so.
   */
  rows = newRows(FIRST_SLOTS);
  words = newWords(FIRST_WORDS);
  #used = NOWHERE + 1;
  /** The row of what was found last. */
  last = 0;

  /** An empty table; `subscriptions` tells how many there are now. */
  constructor(subscriptions: () => number) {
    this.#subscriptions = subscriptions;
  }

  /** The topic whose header stands in `bytes`, of which `view` is a view. It is the {@linkcode last} then. */
  find(bytes: Uint8Array, view: DataView, header: Header): Topic {
    const number = header.length > LONGEST ? 0 : this.#lookUp(bytes, view, header);
    if (number === 0) {
      this.all[0] = decode(bytes, header);
      this.rows[LENGTH] = header.length;
    } else {
      this.all[0] = NOBODY;
      if (this.last !== 0) this.rows[this.last + NEXT] = ROW * number;
    }
    this.last = ROW * number;
    return this.all[number]!;
  }

  /** Gives its number; 0 where it cannot be remembered. */
  #lookUp(bytes: Uint8Array, view: DataView, header: Header): number {
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
      const number = slots[slot]!;
      if (number === 0) return this.#add(bytes, hash, view, header);
      const row = ROW * number;
      if (this.rows[row + HASH] === hash && isHeader(this.words, this.rows, row, view, at, at + length)) return number;
    }
  }

  #add(bytes: Uint8Array, hash: number, view: DataView, header: Header): number {
    const { at, length } = header;
    const size = this.all.length - 1;
    if (size >= ALWAYS && size >= 2 * this.#subscriptions()) this.#forget();
    const count = Math.ceil(length / WORD);
    if (this.#used + count > this.words.length) this.words = grown(this.words, newWords(2 * this.words.length));
    const last = at + length - WORD;
    for (let i = 0; i < count; i++) {
      const word = view.getFloat64(i === 0 ? last : at + (i - 1) * WORD, true);
      if (word === 0 || Number.isNaN(word)) return 0;
      this.words[this.#used + i] = word;
    }
    const number = this.all.push(decode(bytes, header)) - 1;
    if (ROW * number === this.rows.length) this.rows = grown(this.rows, new Int32Array(2 * this.rows.length));
    this.rows.set([this.#used, length, hash, ROW * number], ROW * number);
    this.#used += count;
    if (2 * number > this.#slots.length) {
      this.#slots = new Int32Array(2 * this.#slots.length);
      for (let i = 1; i < number; i++) this.#put(i);
    }
    this.#put(number);
    return number;
  }

  #put(number: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.rows[ROW * number + HASH]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = number;
  }

  #forget(): void {
    this.#slots = new Int32Array(FIRST_SLOTS);
    this.all.length = 1;
    this.rows = newRows(FIRST_SLOTS);
    this.words = newWords(FIRST_WORDS);
    this.#used = NOWHERE + 1;
    this.last = 0;
  }
}

/** Does the header of that row stand at `at`, before `end`? */
export function isHeader(
  words: Float64Array,
  rows: Int32Array,
  row: number,
  view: DataView,
  at: number,
  end: number,
): boolean {
  let word = rows[row]!;
  const last = at + rows[row + LENGTH]! - WORD;
  // The ends of names differ most often, and they stand there.
  if (last + WORD > end || view.getFloat64(last, true) !== words[word]) return false;
  for (; at < last; at += WORD) if (view.getFloat64(at, true) !== words[++word]) return false;
  return true;
}

function decode(bytes: Uint8Array, header: Header): Topic {
  const { kind, patternFrom, patternTo, channelFrom, channelTo } = header;
  const channel = decodeName(bytes.subarray(channelFrom, channelTo));
  const pattern = kind === "pattern" ? decodeName(bytes.subarray(patternFrom, patternTo)) : undefined;
  return new Topic(kind, channel, pattern);
}

function newWords(count: number): Float64Array {
  return new Float64Array(count).fill(NaN, NOWHERE, NOWHERE + 1);
}

function newRows(count: number): Int32Array {
  return new Int32Array(ROW * count).fill(WORD, LENGTH, LENGTH + 1);
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
