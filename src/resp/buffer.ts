/**
 * Where bytes wait: in the {@linkcode Inbox} until they are read, in a {@linkcode Body} until a bulk string is whole; and
 * where they end up, the {@linkcode Slab}. All of them grow with what has arrived, never with what a header promises.
 *
 * @module
 */

const EMPTY = new Uint8Array(0);

/** The smallest buffer worth making: below it, growing costs more than the room. */
const SMALLEST = 1024;

/** A joining buffer above this size, in bytes, is let go when it is empty, so that one long line is not paid for ever. */
const KEPT = 256 * 1024;

/** Strings up to this length, in bytes, share a buffer; of longer ones the buffer is the smaller part of the cost. */
const SHORT = 64;
const SMALLEST_SLAB = 128;
const LARGEST_SLAB = 2048;

/**
 * The bytes that have arrived and are not read yet, always in one piece: `bytes[start]` to `bytes[end - 1]`.
 *
 * A chunk that comes while nothing waits is taken as it is. Otherwise it is joined to the remainder, in a buffer of our
 * own that is at least twice as long as its content after each move, so that a byte is moved a constant number of times.
 */
export class Inbox {
  /** Holds the waiting bytes, and others that do not count. */
  bytes: Uint8Array = EMPTY;
  /** Where the waiting bytes start in {@linkcode bytes}. */
  start = 0;
  /** Where the waiting bytes end in {@linkcode bytes}, exclusive. */
  end = 0;
  /** Position of `bytes[0]`, counted from the first byte of the connection. */
  #base = 0;
  #joined: Uint8Array = EMPTY;

  /** Position of `bytes[start]`, counted from the first byte of the connection. */
  get offset(): number {
    return this.#base + this.start;
  }

  /** Adds a chunk, which belongs to the inbox from then on. */
  feed(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.start < this.end) return this.#join(chunk);
    this.#base += this.start;
    this.bytes = chunk;
    this.start = 0;
    this.end = chunk.length;
  }

  /** Lets go of a chunk that is read to its end, so that an idle connection does not keep it. */
  release(): void {
    if (this.start === this.end) this.clear();
  }

  /** Drops whatever waits. */
  clear(): void {
    this.#base += this.start;
    this.bytes = EMPTY;
    this.start = 0;
    this.end = 0;
    if (this.#joined.length > KEPT) this.#joined = EMPTY;
  }

  #join(chunk: Uint8Array): void {
    // A chunk that was taken as it is has no room left, so only a buffer of our own is ever written to.
    if (this.end + chunk.length > this.bytes.length) this.#move(chunk.length);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** Moves the waiting bytes to the front of a buffer that has room for `more`, and as much again. */
  #move(more: number): void {
    const waiting = this.end - this.start;
    const room = 2 * (waiting + more);
    const target = room <= this.#joined.length ? this.#joined : new Uint8Array(Math.max(room, SMALLEST));
    target.set(this.bytes.subarray(this.start, this.end));
    this.#base += this.start;
    this.#joined = target;
    this.bytes = target;
    this.start = 0;
    this.end = waiting;
  }
}

/** The bytes of a string that comes in several pieces. */
export class Body {
  #bytes: Uint8Array = EMPTY;
  #length = 0;
  readonly #limit: number;

  /** Makes an empty body that will never hold more than `limit` bytes; it allocates nothing yet. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many bytes it holds. */
  get length(): number {
    return this.#length;
  }

  /** Adds `source[from]` to `source[to - 1]`. */
  append(source: Uint8Array, from: number, to: number): void {
    const length = this.#length + to - from;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(this.#limit, Math.max(2 * length, SMALLEST)));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(source.subarray(from, to), this.#length);
    this.#length = length;
  }

  /** The whole, in a buffer of exactly its length. The body is empty after it, and does not keep what it gave away. */
  take(): Uint8Array {
    const bytes = this.#bytes;
    const length = this.#length;
    this.#bytes = EMPTY;
    this.#length = 0;
    return length === bytes.length && bytes !== EMPTY ? bytes : bytes.slice(0, length);
  }
}

/**
 * Copies of the short strings of one reply, many in one buffer.
 *
 * The runtimes take some 250 ns to make a buffer, however short, and some 20 ns to make a view: with a buffer for each
 * string, a message would cost three times what reading it costs. One reply owns its buffers alone, and none is longer
 * than {@linkcode LARGEST_SLAB}, so whoever keeps ten bytes keeps two kilobytes at most, never a chunk.
 */
export class Slab {
  #bytes: Uint8Array = EMPTY;
  #used = 0;

  /** A copy of `source[from]` to `source[to - 1]`; in a buffer of its own when it is long. */
  copy(source: Uint8Array, from: number, to: number): Uint8Array {
    const length = to - from;
    if (length === 0 || length > SHORT) return source.slice(from, to);
    let start = this.#used;
    if (start + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.min(LARGEST_SLAB, Math.max(SMALLEST_SLAB, 2 * this.#bytes.length)));
      start = 0;
    }
    const bytes = this.#bytes;
    for (let at = 0; at < length; at++) bytes[start + at] = source[from + at]!;
    this.#used = start + length;
    return new Uint8Array(bytes.buffer, start, length);
  }

  /** Begins the next reply: its strings share no buffer with those before. */
  renew(): void {
    this.#bytes = EMPTY;
    this.#used = 0;
  }
}
