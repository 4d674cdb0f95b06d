/**
 * The fast path: finds the messages in what has been read, in one pass, without making anything of them.
 *
 * 1. It only ever says "here is a message" or "not here". Whatever is of another type, too large or malformed is
 *    not here, and is left to the reader of `resp/`, which alone refuses and throws. So the two can never
 *    disagree; a property test holds them equal, whatever the boundaries and the damage.
 * 2. No byte at or after the end counts, though the memory behind it may hold an older message: a header is looked at
 *    only where as much is left as the shortest message takes, and every length is believed only when it stands before
 *    the end.
 * 3. A message that lies whole up to the middle of its payload is waited for in place: the scanner knows how much
 *    it takes, so that nothing is looked at again before that is there. So is the front of one that is cut off before that,
 *    as long as it may become one; it is looked at again when there is more. Read by the reader, as it was, such a message
 *    went the long way: with 16 bytes two reads of three end in a header, and `for await` took 4 % more on Deno and Node,
 *    5 % on Bun; in pieces of 1,500 bytes a byte took Deno 6.9 ns instead of 4.5.
 * 4. Most messages follow one on the same channel, or on the one that came next the last time: their whole header is
 *    compared, in words of eight bytes, before anything of it is read (topics.ts). The length of a payload is likewise
 *    compared with the one before it, as the two words that its digits and their CR LF are.
 *
 * Measured in memory, the copy into the room included, per message of 16 bytes on 1 and on 1,000 channels: to read the
 * header as words of four, its lengths digit by digit, and its name by a look-up took Deno 29 and 55 ns, Node 46 and 69, Bun
 * 38 and 57; this takes 17 and 21, 37 and 41, 30 and 36.
 *
 * @module
 */

import type { Kind } from "../message.ts";
import { KIND_NAMES, KINDS } from "../protocol/kind.ts";
import type { Inbox } from "../resp/buffer.ts";
import type { Reader, ReaderLimits } from "../resp/reader.ts";
import { MOST_MESSAGES, type Run } from "./run.ts";
import { type Header, isHeader, LENGTH, NEXT, ROW, Topics } from "./topics.ts";

const CR = 0x0d;
const LF = 0x0a;
/** Both, as a word. */
const CR_LF = 0x0a0d;
const ZERO = 0x30;
const NINE = 0x39;
const DOLLAR = 0x24;
const PUSH = 0x3e;
const ARRAY = 0x2a;

/** The shortest message, in bytes: no name, no payload. */
const SHORTEST = ">3\r\n$7\r\nmessage\r\n$0\r\n\r\n$0\r\n\r\n".length;
/** Payloads up to this length, in bytes, are waited for in place; longer ones would make every buffer of the inbox large. */
const LONGEST_IN_PLACE = 128 * 1024;
/** A longer front of a message, in bytes, is left to the reader, so that little of it is looked at twice. */
const LONGEST_FRONT = 512;
/** No header that is recognised is longer, in bytes. */
const LONGEST_LINE = 16;
/** Of a `pmessage`. */
const MOST_ELEMENTS = 4;
const LONGEST_LABEL = 8;
/** No length has more digits. */
const LONGEST_LENGTH = 10;

/** What a {@linkcode Scanner} is made for. */
export interface ScannerOptions {
  /** Those of the reader. */
  readonly limits: ReaderLimits;
  /** In RESP3 an array is never a message. */
  readonly protocol: 2 | 3;
  /** Tells how many subscriptions there are now. */
  readonly subscriptions: () => number;
}

/** How the messages of one kind begin: up to the `$` of the first name. */
class Beginning {
  readonly kind: Kind;
  /** As a push. */
  readonly bytes: Uint8Array;
  /** In bytes. */
  readonly length: number;
  readonly push: number;
  readonly array: number;
  /** The words behind the type and the arity; the last one overlaps the one before it. */
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly last: number;

  constructor(kind: Kind) {
    const { message, messageArity } = KINDS[kind];
    const text = (type: string) => `${type}${messageArity}\r\n$${message.length}\r\n${message}\r\n$`;
    this.bytes = new TextEncoder().encode(text(">"));
    const push = new DataView(this.bytes.buffer);
    this.kind = kind;
    this.length = push.byteLength;
    this.push = push.getInt32(0);
    this.array = new DataView(new TextEncoder().encode(text("*")).buffer).getInt32(0);
    this.first = push.getInt32(4);
    this.second = push.getInt32(8);
    this.third = push.getInt32(12);
    this.last = push.getInt32(this.length - 4);
  }

  /** Does a message of this kind begin here? */
  isAt(view: DataView, at: number, arrays: "arrays too" | "pushes only"): boolean {
    const type = view.getInt32(at);
    return view.getInt32(at + 8) === this.second && view.getInt32(at + 4) === this.first &&
      view.getInt32(at + 12) === this.third && view.getInt32(at + this.length - 4) === this.last &&
      (type === this.push || (type === this.array && arrays === "arrays too"));
  }

  /** Do the bytes from `at` to `end - 1` begin so, or are they a front of that? */
  isFrontAt(bytes: Uint8Array, at: number, end: number, arrays: "arrays too" | "pushes only"): boolean {
    if (bytes[at] !== PUSH && (bytes[at] !== ARRAY || arrays === "pushes only")) return false;
    const count = Math.min(this.length, end - at);
    for (let i = 1; i < count; i++) if (bytes[at + i] !== this.bytes[i]) return false;
    return true;
  }
}

const BEGINNINGS = KIND_NAMES.map((kind) => new Beginning(kind));

/** Finds the messages of one connection. */
export class Scanner {
  readonly #topics: Topics;
  readonly #longest: number;
  readonly #arrays: "arrays too" | "pushes only";
  /** What the header that was read last says. */
  readonly #read = {
    kind: "channel" as Kind,
    at: 0,
    length: 0,
    patternFrom: 0,
    patternTo: 0,
    channelFrom: 0,
    channelTo: 0,
  } satisfies Header;
  /** The length that was read last. */
  #length = 0;
  /** How much the first message takes where it is known to be one, and not whole; otherwise 0. */
  #needed = 0;

  /** Finds what is within the limits of the reader; where these are tighter than any message needs, nothing. */
  constructor({ limits, protocol, subscriptions }: ScannerOptions) {
    const { bulkBytes, elements, depth, lineBytes } = limits;
    const isEnough = elements >= MOST_ELEMENTS && depth >= 1 && lineBytes >= LONGEST_LINE && bulkBytes >= LONGEST_LABEL;
    this.#longest = isEnough ? Math.min(bulkBytes, 2 ** 30) : -1;
    this.#arrays = protocol === 2 ? "arrays too" : "pushes only";
    this.#topics = new Topics(subscriptions);
  }

  /** Takes the messages that stand whole before `reader` into `run`, in place of what it held. */
  scan(reader: Reader, run: Run): "messages" | "a part of one" | "the end" | "nothing" {
    const { inbox } = reader;
    if (inbox === undefined) return "nothing";
    if (inbox.start === inbox.end && !inbox.more()) {
      inbox.release();
      return "the end";
    }
    do {
      if (inbox.end - inbox.start < this.#needed) continue;
      const end = this.#fill(run, inbox);
      if (run.count > 0) {
        reader.skip(end);
        return "messages";
      }
    } while (inbox.more());
    return this.#needed > 0 ? "a part of one" : "nothing";
  }

  /** Gives where the messages end. */
  #fill(run: Run, inbox: Inbox): number {
    const { bytes, view, start, end } = inbox;
    const topics = this.#topics;
    run.begin(bytes, inbox.memory);
    this.#needed = 0;
    let at = start;
    let { all, rows, words, last: row } = topics;
    const { topics: found, from: froms, to: tos } = run;
    let count = 0;
    /** The length of the payload before, and the words in which it and its CR LF were written, where these take two. */
    let length = 0;
    let digits = 0;
    let first = 0;
    let last = 0;
    while (end - at >= SHORTEST && count < MOST_MESSAGES) {
      if (!isHeader(words, rows, row, view, at, end)) {
        const next = rows[row + NEXT]!;
        if (isHeader(words, rows, next, view, at, end)) row = next;
        else {
          topics.last = row;
          if (!this.#find(inbox, at)) break;
          ({ all, rows, words, last: row } = topics);
        }
      }
      const line = at + rows[row + LENGTH]!;
      let from = line + digits;
      if (digits < 4 || end < from || view.getInt32(line, true) !== first || view.getInt32(from - 4, true) !== last) {
        from = this.#readLength(bytes, line);
        if (from < 0 || from > end) break;
        length = this.#length;
        digits = from - line;
        if (digits >= 4) {
          first = view.getInt32(line, true);
          last = view.getInt32(from - 4, true);
        }
      }
      const to = from + length;
      if (to + 2 > end) {
        const isBroken = to < end && bytes[to] !== CR;
        if (!isBroken && length <= LONGEST_IN_PLACE) this.#needed = (to < end ? to + 2 : to + 1) - at;
        break;
      }
      if (view.getInt16(to, true) !== CR_LF) break;
      found[count] = all[row / ROW]!;
      froms[count] = from;
      tos[count++] = to;
      at = to + 2;
    }
    topics.last = row;
    run.count = count;
    if (at < end && this.#needed === 0 && count < MOST_MESSAGES && this.#isFront(bytes, at, end)) {
      this.#needed = end - at + 1;
    }
    return at;
  }

  /** Is what stands from `at` to `end - 1` a message that is cut off before its payload? The reader would wait for more, too. */
  #isFront(bytes: Uint8Array, at: number, end: number): boolean {
    if (this.#longest < 0 || end - at > LONGEST_FRONT) return false;
    const beginning = BEGINNINGS.find((one) => one.isFrontAt(bytes, at, end, this.#arrays));
    if (beginning === undefined) return false;
    let from = at + beginning.length;
    for (let names = beginning.kind === "pattern" ? 2 : 1; from < end; names--) {
      const line = this.#readLength(bytes, from);
      // Memory behind the end does not count.
      if (line < 0 || line > end) return isCutLength(bytes, from, end);
      if (names === 0) return false;
      from = line + this.#length;
      if (from + 3 > end) return isCutBetween(bytes, from, end);
      if (!isNext(bytes, from)) return false;
      from += 3;
    }
    return true;
  }

  /** Reads the header that begins at `at`, whose topic is then the last; false where there is none. */
  #find({ bytes, view, end }: Inbox, at: number): boolean {
    const beginning = BEGINNINGS.find((one) => one.isAt(view, at, this.#arrays));
    if (beginning === undefined) return false;
    const read = this.#read;
    read.kind = beginning.kind;
    read.at = at;
    let from = this.#readLength(bytes, at + beginning.length);
    if (beginning.kind === "pattern" && from > 0) {
      read.patternFrom = from;
      read.patternTo = from + this.#length;
      from = isNext(bytes, read.patternTo) ? this.#readLength(bytes, read.patternTo + 3) : -1;
    }
    if (from < 0) return false;
    read.channelFrom = from;
    read.channelTo = from + this.#length;
    if (read.channelTo + 3 > end || !isNext(bytes, read.channelTo)) return false;
    read.length = read.channelTo + 3 - at;
    this.#topics.find(bytes, view, read);
    return true;
  }

  /** Reads a length and its CR LF into `#length`; gives where that ends, or a negative number. */
  #readLength(bytes: Uint8Array, at: number): number {
    let byte = bytes[at];
    if (!isDigit(byte)) return -1;
    let length = byte - ZERO;
    for (; (byte = bytes[++at]) !== CR;) {
      // A zero in front is for the reader to refuse.
      if (!isDigit(byte) || length === 0) return -1;
      length = length * 10 + byte - ZERO;
      if (length > this.#longest) return -1;
    }
    if (length > this.#longest || bytes[at + 1] !== LF) return -1;
    this.#length = length;
    return at + 2;
  }
}

/** Behind the end of the memory there is none, and nothing may be calculated with it: positions have to stay integers. */
function isDigit(byte: number | undefined): byte is number {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** Are the bytes from `at` to `end - 1` the front of a length, of which no more than the line feed is told? */
function isCutLength(bytes: Uint8Array, at: number, end: number): boolean {
  const most = at + LONGEST_LENGTH;
  while (at < end && at < most && isDigit(bytes[at])) at++;
  return at === end || (at + 1 === end && bytes[at] === CR);
}

/** Is what stands at `at`, before `end`, a front of what is between two strings? Where that is behind the end, it may be. */
function isCutBetween(bytes: Uint8Array, at: number, end: number): boolean {
  return (at >= end || bytes[at] === CR) && (at + 1 >= end || bytes[at + 1] === LF);
}

/** Does a string end here, and another one begin? */
function isNext(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === CR && bytes[at + 1] === LF && bytes[at + 2] === DOLLAR;
}
