/**
 * The short way for what comes most: an array or a push of a few bulk strings that lies whole in what has arrived.
 * It is recognised in one pass, and told as positions; nothing is copied or made.
 *
 * 1. It only ever says "here is one" or "not here". Whatever is unfinished, of another type, too large or malformed is
 *    "not here", and is left to the reader, which alone waits and throws. So the two ways cannot disagree; a property
 *    test holds them equal.
 * 2. No byte at or after `end` counts, though a header is looked at before that is known: the last check of each string
 *    is that its CR LF lies before `end`, and every byte looked at comes before that.
 *
 * On a firehose of 16-byte messages this is three times as fast as the reader (`deno task bench`).
 *
 * @module
 */

import type { ReaderLimits } from "./limits.ts";

/** The most elements that are recognised: `pmessage` has as many. */
const MOST = 4;
/** No header that is recognised is longer, in bytes. */
const LONGEST_LINE = 16;

const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const ARRAY = 0x2a; // *
const PUSH = 0x3e; // >
const BULK_STRING = 0x24; // $

/** What was recognised last. One object serves for all, so whoever wants to keep anything copies it. */
export class Bulks {
  /** Holds the strings, and others that do not count. */
  bytes: Uint8Array = new Uint8Array(0);
  /** How the aggregate was announced. */
  type: "array" | "push" = "array";
  /** How many strings it has. */
  count = 0;
  /** Where string `i` starts (`2 * i`) and ends, exclusive (`2 * i + 1`), in {@linkcode bytes}. */
  readonly bounds: Int32Array = new Int32Array(2 * MOST);
  /** Where the aggregate ends in {@linkcode bytes}, exclusive. */
  end = 0;
  readonly #longest: number;

  /** Recognises what is within the limits of the reader; where these are tighter than any message needs, nothing. */
  constructor({ bulkBytes, elements, depth, lineBytes }: ReaderLimits) {
    this.#longest = elements < MOST || depth < 1 || lineBytes < LONGEST_LINE ? -1 : Math.min(bulkBytes, 2 ** 30);
  }

  /** Looks at `bytes[start]` to `bytes[end - 1]`; true where an aggregate starts there and lies whole. */
  scan(bytes: Uint8Array, start: number, end: number): boolean {
    const type = bytes[start];
    const count = bytes[start + 1]! - ZERO;
    if ((type !== PUSH && type !== ARRAY) || !(count >= 1 && count <= MOST)) return false;
    if (bytes[start + 2] !== CR || bytes[start + 3] !== LF) return false;
    let at = start + 4;
    for (let i = 0; i < count; i++) {
      if (bytes[at] !== BULK_STRING) return false;
      let length = bytes[++at]! - ZERO;
      if (!(length >= 0 && length <= 9)) return false;
      for (let byte; (byte = bytes[++at]) !== CR;) {
        const digit = byte! - ZERO;
        // A zero in front is for the reader to refuse.
        if (!(digit >= 0 && digit <= 9) || length === 0) return false;
        length = length * 10 + digit;
        if (length > this.#longest) return false;
      }
      if (length > this.#longest || bytes[at + 1] !== LF) return false;
      const from = at + 2;
      const to = from + length;
      if (to + 2 > end || bytes[to] !== CR || bytes[to + 1] !== LF) return false;
      this.bounds[2 * i] = from;
      this.bounds[2 * i + 1] = to;
      at = to + 2;
    }
    this.bytes = bytes;
    this.type = type === PUSH ? "push" : "array";
    this.count = count;
    this.end = at;
    return true;
  }
}
