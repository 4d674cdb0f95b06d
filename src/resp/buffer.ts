/**
 * Where bytes wait: in the {@linkcode Inbox} until they are read, in a {@linkcode Body} until a bulk string is whole; and
 * where they end up, the {@linkcode Slab}. All of them grow with what has arrived, never with what a header promises.
 *
 * @module
 */

const EMPTY: Uint8Array<ArrayBuffer> = new Uint8Array(0);
const NO_VIEW: DataView = new DataView(EMPTY.buffer);

/** The smallest buffer worth making: below it, growing costs more than the room. */
const SMALLEST = 1024;

/** An inbox has a buffer of this size at first, and when it is idle: 10,000 of them take 40 MB. */
const IDLE_ROOM = 4 * 1024;
/**
 * And at most of this size, in bytes, unless one line is longer. On a firehose a buffer of 256 KiB takes 20 % less
 * processor time than one of 64 KiB, and a larger one no less.
 */
const BUSY_ROOM = 256 * 1024;
/** A read that fills the buffer makes the next one so many times as large. */
const GROWTH = 4;
/** So many reads in a row that take a sixteenth of the buffer or less make the next one half as large. */
const QUIET_READS = 8;
const QUIET_SHARE = 16;
/** So many milliseconds of silence make it as small as when it is idle: many connections that were busy once rest for long. */
const REST_MS = 1_000;

/** So many bytes of a chunk are copied at first behind what waits, then twice as many each time. */
const SEAM = 4 * 1024;

/** Strings up to this length, in bytes, share a buffer; of longer ones the buffer is the smaller part of the cost. */
const SHORT = 64;
const SMALLEST_SLAB = 128;
const LARGEST_SLAB = 2048;

/**
 * The bytes that have arrived and are not read yet, always in one piece: `bytes[start]` to `bytes[end - 1]`.
 *
 * They come in two ways. Whoever reads a socket reads into the {@linkcode room} of our own buffer: nothing is allocated,
 * and what was left over is moved to the front, never joined. A chunk in other memory is taken as it is while nothing
 * waits. Otherwise its front is copied behind what waits, as much as it takes to read past that; then the chunk is read
 * where it is. On Bun, whose sockets bring chunks of up to 512 KiB, a payload of 64 KiB is then handed out where it lies,
 * for 20 µs of processor time instead of 31. After a move at least half of the buffer is free, and a quarter of it before
 * the next one that is not for nothing, so that a byte is moved a constant number of times.
 */
export class Inbox {
  /** Holds the waiting bytes, and others that do not count. */
  bytes: Uint8Array = EMPTY;
  /** Shows the same memory as {@linkcode bytes}, to read words. */
  view: DataView = NO_VIEW;
  /** Where the waiting bytes start in {@linkcode bytes}. */
  start = 0;
  /** Where the waiting bytes end in {@linkcode bytes}, exclusive. */
  end = 0;
  /**
   * Position of `bytes[0]`, counted from the first byte of the connection. Not an integer, to V8, from the start: as one it
   * becomes something else after 2 GiB, and everything that was compiled for it is thrown away.
   */
  #base = -0;
  #own: Uint8Array<ArrayBuffer> = EMPTY;
  #ownView: DataView = NO_VIEW;
  /** How large our own buffer should be, and how many reads in a row would have done with much less. */
  #size = IDLE_ROOM;
  #quiet = 0;
  /** The chunk whose front was copied, while there is more of it, and where in {@linkcode bytes} that begins. */
  #chunk: Uint8Array = EMPTY;
  #joint = 0;
  /** Whose memory the last chunk is. */
  #memory: "kept" | "lent" = "kept";

  /** Position of `bytes[start]`, counted from the first byte of the connection. */
  get offset(): number {
    return this.#base + this.start;
  }

  /** Are {@linkcode bytes} written to again? Our own are, and a chunk that is lent; others are not. */
  get memory(): "kept" | "reused" {
    return this.bytes === this.#own || this.#memory === "lent" ? "reused" : "kept";
  }

  /** Where the next bytes may be read to; {@linkcode feed} is given what has been filled of it, from its start. */
  room(): Uint8Array<ArrayBuffer> {
    this.#settle();
    const { length } = this.#own;
    const waiting = this.end - this.start;
    // Moving pays when no more is moved than has been read since, or when little is left free.
    const isWorthMoving = waiting <= this.start || 4 * (length - this.end) < length;
    const size = Math.max(this.#size, sizeFor(waiting));
    // Where chunks come, what each of them leaves is longer or shorter: what held one holds the next.
    if (this.bytes !== this.#own) this.#moveHome(waiting > 0 ? Math.max(size, Math.min(length, BUSY_ROOM)) : size);
    else if (isWorthMoving) this.#moveHome(size);
    // A view takes as long as everything else that is done for a read of one message.
    return this.end === 0 ? this.#own : this.#own.subarray(this.end);
  }

  /**
   * Adds a chunk, which belongs to the inbox from then on, or is `"lent"` until the {@linkcode room} is asked for, with the
   * memory in front of it; a number: so many bytes of the room. Nothing had come for `silentMs` milliseconds before it.
   */
  feed(chunk: Uint8Array | number, silentMs = 0, memory: "kept" | "lent" = "kept"): void {
    const count = typeof chunk === "number" ? chunk : chunk.length;
    if (count === 0) return;
    if (silentMs > REST_MS) this.#size = IDLE_ROOM;
    if (typeof chunk === "number" || this.#isInPlace(chunk)) {
      this.end += count;
      this.#adapt(count);
    } else {
      this.#memory = memory;
      this.#settle();
      const waiting = this.end - this.start;
      if (waiting === 0) this.#place(chunk, this.start);
      else if (memory === "lent" && waiting <= chunk.byteOffset) this.#putBefore(chunk);
      else {
        if (this.bytes !== this.#own) {
          this.#moveHome(Math.max(this.#own.length, sizeFor(waiting), SMALLEST));
        }
        this.#chunk = chunk;
        this.#joint = this.end;
        this.#join(SEAM);
      }
    }
  }

  /** Shows more of what has come, behind what waits or in its place; false where all of it is shown. */
  more(): boolean {
    if (this.#chunk === EMPTY) return false;
    if (this.start < this.#joint) this.#join(Math.max(SEAM, this.end - this.#joint));
    else this.#settle();
    return true;
  }

  /** Lets go of a chunk that is read to its end, or a large buffer, so that an idle connection does not keep it. */
  release(): void {
    const isWorthIt = this.bytes !== this.#own || this.#own.length > BUSY_ROOM;
    if (isWorthIt && this.start === this.end && this.#chunk === EMPTY) this.clear();
  }

  /** Drops whatever waits. */
  clear(): void {
    this.#chunk = EMPTY;
    this.#place(EMPTY, this.start);
    if (this.#own.length > BUSY_ROOM) {
      this.#own = EMPTY;
      this.#ownView = NO_VIEW;
    }
  }

  #isInPlace(chunk: Uint8Array): boolean {
    return this.bytes === this.#own && chunk.buffer === this.#own.buffer &&
      chunk.byteOffset === this.#own.byteOffset + this.end;
  }

  #adapt(taken: number): void {
    const { length } = this.#own;
    if (this.end === length) this.#size = Math.min(GROWTH * length, BUSY_ROOM);
    if (taken * QUIET_SHARE > length) this.#quiet = 0;
    else if (++this.#quiet >= QUIET_READS) {
      this.#quiet = 0;
      this.#size = Math.min(Math.max(length / 2, IDLE_ROOM), BUSY_ROOM);
    }
  }

  /** Moves the waiting bytes to the front of our own buffer, which has `size` bytes from then on. */
  #moveHome(size: number): void {
    if (this.bytes === this.#own && this.start === 0 && this.#own.length === size) return;
    const { bytes, start, end } = this;
    if (this.#own.length !== size) {
      this.#own = new Uint8Array(size);
      this.#ownView = viewOf(this.#own);
    }
    if (end > start) this.#own.set(bytes.subarray(start, end));
    if (this.#chunk !== EMPTY) this.#joint -= start;
    this.#place(this.#own, start);
    this.end = end - start;
  }

  /** Moves the waiting bytes to the memory in front of a chunk. */
  #putBefore({ buffer, byteOffset, length }: Uint8Array): void {
    const waiting = this.bytes.subarray(this.start, this.end);
    const whole = new Uint8Array(buffer, byteOffset - waiting.length, waiting.length + length);
    whole.set(waiting);
    this.#place(whole, this.start);
  }

  /** Copies `count` more bytes of the chunk behind what waits. */
  #join(count: number): void {
    const from = this.end - this.#joint;
    const part = this.#chunk.subarray(from, from + count);
    if (this.end + part.length > this.#own.length) {
      this.#moveHome(Math.max(this.#own.length, sizeFor(this.end - this.start + part.length)));
    }
    this.#own.set(part, this.end);
    this.end += part.length;
    if (from + part.length === this.#chunk.length) this.#chunk = EMPTY;
  }

  /** Shows all that has come. */
  #settle(): void {
    const chunk = this.#chunk;
    if (chunk === EMPTY) return;
    if (this.start < this.#joint) return this.#join(chunk.length);
    const start = this.start - this.#joint;
    this.#chunk = EMPTY;
    this.#place(chunk, this.#joint);
    this.start = start;
  }

  /** Shows `bytes` from now on, whose first one stands `before` bytes after that of what was shown. */
  #place(bytes: Uint8Array, before: number): void {
    this.bytes = bytes;
    this.view = bytes === this.#own ? this.#ownView : bytes === EMPTY ? NO_VIEW : viewOf(bytes);
    this.#base += before;
    this.start = 0;
    this.end = bytes.length;
  }
}

/** A power of two, so that what goes on growing is moved a constant number of times. */
function sizeFor(waiting: number): number {
  return waiting === 0 ? 0 : 2 ** Math.ceil(Math.log2(2 * waiting));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
