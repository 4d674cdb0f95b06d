/**
 * Bytes to replies: every type of RESP2 and RESP3, at whatever boundaries the bytes come.
 *
 * A value is read in two moves. Its *header* is one line: the type byte, then the whole of a short value, or the length
 * of a long one. The *body* of a string follows; the elements of an aggregate follow as values of their own, and a
 * {@linkcode Frame} on an explicit stack remembers what they belong to. Whatever is read leaves the inbox at once, so
 * nothing but an unfinished line ever waits there, and no byte is looked at again.
 *
 * Source: https://redis.io/docs/latest/develop/reference/protocol-spec/ and, for what streams,
 * https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { Body, Inbox, Slab } from "./buffer.ts";
import { type ReaderLimits, readerLimits } from "./limits.ts";
import { aggregate, attributed, type Reply } from "./reply.ts";
import { ABSENT, escapeBytes, MALFORMED, readLength, readScalar, readText, STREAMED } from "./scalar.ts";

export type { ReaderLimits } from "./limits.ts";

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;

const BULK_STRING = 0x24; // $
const ARRAY = 0x2a; // *
const PUSH = 0x3e; // >
const MAP = 0x25; // %
const SET = 0x7e; // ~
const VERBATIM_STRING = 0x3d; // =
const BULK_ERROR = 0x21; // !
const ATTRIBUTE = 0x7c; // |
const CHUNK = 0x3b; // ;
const END = 0x2e; // .

/** The bytes that may start a line while a value is due: told apart before its line has arrived, which may be never. */
const STARTS_VALUE: readonly boolean[] = Array.from(
  { length: 256 },
  (_, byte) => "$*:+->%_#,(~=!|.".includes(String.fromCharCode(byte)),
);

/** An excerpt shows so many bytes at most. */
const EXCERPT = 16;

/** The format of a verbatim string: so many characters and a colon stand before its text. */
const FORMAT = 3;

/** An aggregate that lacks elements yet. */
interface Frame {
  readonly type: "array" | "set" | "push" | "map" | "attribute";
  /** Its elements so far; those of pairs lie flat, key and value in turn. */
  readonly items: Reply[];
  /** How many elements it lacks; `STREAMED` where a `.` will tell. */
  missing: number;
  /** Flat pairs that came before it. */
  readonly attributes: Reply[] | undefined;
  readonly parent: Frame | undefined;
  readonly depth: number;
}

/**
 * An incremental reader of RESP2 and RESP3.
 *
 * The first error is final: where one length is wrong, nothing behind it can be trusted. Every later `next()` throws the
 * same `ProtocolError`. Its offset is that of the line which could not be read, or of the bytes that should have been
 * CR LF, and its excerpt starts there.
 *
 * Strict where the peer's bytes could otherwise be taken for something else, open where the specification is silent: a
 * push may only come between top-level replies; attributes that follow each other count as one; what counts itself may
 * also stream, attributes and pushes included.
 */
export class Reader {
  readonly #limits: ReaderLimits;
  readonly #inbox = new Inbox();
  readonly #slab = new Slab();
  /** What is due at the start of the inbox. */
  #due: "value" | "bulk body" | "chunk" | "chunk body" = "value";
  /** How many bytes of the unfinished line, its type byte included, are known to hold no CR. */
  #scanned = 0;
  /** The aggregate that is being filled: the top of the stack. */
  #frame: Frame | undefined;
  /** How many values the top-level reply has so far, itself not counted. */
  #elements = 0;
  /** Flat pairs that belong to the next value. */
  #attributes: Reply[] | undefined;
  /** The string that comes in pieces, its type byte, and how many bytes lack before its CR LF, or its chunk's. */
  #body = new Body(0);
  #bodyType = BULK_STRING;
  #missing = 0;
  #error: ProtocolError | undefined;

  /** Makes a reader for one connection; a limit that is not a whole number of at least 0 is a `RangeError`. */
  constructor(limits?: Partial<ReaderLimits>) {
    this.#limits = readerLimits(limits);
  }

  /** How many bytes have been read, those of an unfinished reply included; after an error, its offset. */
  get offset(): number {
    return this.#error === undefined ? this.#inbox.offset : this.#error.offset;
  }

  /** The limits that it holds. */
  get limits(): ReaderLimits {
    return this.#limits;
  }

  /**
   * Takes the next bytes of the connection, and with them the ownership of `chunk`, or its loan until the {@linkcode room}
   * is asked for; a number where so many were put into that room. Nothing had come for `silentMs` milliseconds before them.
   * After an error it does nothing.
   */
  feed(chunk: Uint8Array | number, silentMs = 0, memory: "kept" | "lent" = "kept"): void {
    if (this.#error === undefined) this.#inbox.feed(chunk, silentMs, memory);
  }

  /** Where the next bytes may be read to; {@linkcode feed} is given what has been filled of it. Valid until anything else is called. */
  room(): Uint8Array<ArrayBuffer> {
    return this.#inbox.room();
  }

  /** What waits, where a reply starts there, for {@linkcode skip}; undefined in the middle of one, and after an error. */
  get inbox(): Inbox | undefined {
    return this.#due !== "value" || this.#frame !== undefined || this.#attributes !== undefined ||
        this.#error !== undefined
      ? undefined
      : this.#inbox;
  }

  /** Somebody else has read the {@linkcode inbox} up to here: whole replies. */
  skip(to: number): void {
    this.#inbox.start = to;
    this.#scanned = 0;
  }

  /** The next reply, or `undefined` until more is fed. Throws a `ProtocolError` when the peer broke the protocol or a limit. */
  next(): Reply | undefined {
    if (this.#error !== undefined) throw this.#error;
    for (;;) {
      const step = this.#step();
      if (step === "starved") {
        if (this.#inbox.more()) continue;
        this.#inbox.release();
        return undefined;
      }
      if (step === "opened") continue;
      const reply = this.#place(step);
      if (reply !== undefined) return reply;
    }
  }

  /** Reads one header or one body: a whole value, or "opened" where more of it is to come, or "starved" of bytes. */
  #step(): Reply | "opened" | "starved" {
    switch (this.#due) {
      case "value":
        return this.#value();
      case "bulk body":
        if (!this.#fill()) return "starved";
        this.#due = "value";
        return this.#bulk(this.#bodyType, this.#body.take());
      case "chunk":
        return this.#chunk();
      case "chunk body":
        if (!this.#fill()) return "starved";
        this.#due = "chunk";
        return "opened";
    }
  }

  #value(): Reply | "opened" | "starved" {
    const { bytes, start } = this.#inbox;
    if (start === this.#inbox.end) return "starved";
    const type = bytes[start]!;
    if (!STARTS_VALUE[type]) throw this.#badLine("Unknown type");
    const end = this.#lineEnd();
    if (end < 0) return "starved";
    if (type === END) return this.#end(end);
    if ((this.#frame !== undefined || type === ATTRIBUTE) && ++this.#elements > this.#limits.elements) {
      throw this.#tooMany();
    }
    switch (type) {
      case BULK_STRING:
      case VERBATIM_STRING:
      case BULK_ERROR:
        return this.#openBulk(type, end);
      case PUSH:
        if (this.#frame !== undefined) throw this.#badLine("Push inside another reply");
        return this.#open("push", end);
      case ARRAY:
        return this.#open("array", end);
      case MAP:
        return this.#open("map", end);
      case SET:
        return this.#open("set", end);
      case ATTRIBUTE:
        return this.#open("attribute", end);
      default: {
        const reply = readScalar(type, bytes, start + 1, end);
        if (reply === undefined) throw this.#badLine("Malformed value");
        this.#inbox.start = end + 2;
        return reply;
      }
    }
  }

  /** Where the line that starts the inbox has its CR; negative while it has not arrived. */
  #lineEnd(): number {
    const { bytes, start, end } = this.#inbox;
    const last = start + 1 + this.#limits.lineBytes;
    let at = start + this.#scanned;
    while (at < end && bytes[at] !== CR && bytes[at] !== LF) at++;
    if (at > last) throw this.#badLine(`Line longer than ${this.#limits.lineBytes} bytes`);
    if (at < end && bytes[at] === LF) throw this.#badBytes("Line without CR LF", at, 1);
    if (at + 1 >= end) {
      this.#scanned = at - start;
      return -1;
    }
    if (bytes[at + 1] !== LF) throw this.#badBytes("Line without CR LF", at, 2);
    this.#scanned = 0;
    return at;
  }

  #openBulk(type: number, lineEnd: number): Reply | "opened" {
    const inbox = this.#inbox;
    const length = readLength(inbox.bytes, inbox.start + 1, lineEnd);
    if (length < 0) return this.#openUncounted(type, length, lineEnd);
    if (length < FORMAT + 1 && type === VERBATIM_STRING) throw this.#badLine("Verbatim string without a format");
    const limit = type === BULK_ERROR ? this.#limits.lineBytes : this.#limits.bulkBytes;
    if (length > limit) throw this.#badLine(`String longer than ${limit} bytes`);
    const from = lineEnd + 2;
    const to = from + length;
    if (to + 2 > inbox.end) {
      inbox.start = from;
      this.#body = new Body(length);
      this.#bodyType = type;
      this.#missing = length;
      this.#due = "bulk body";
      return "opened";
    }
    if (inbox.bytes[to] !== CR) throw this.#badBytes("String without CR LF", to, 1);
    if (inbox.bytes[to + 1] !== LF) throw this.#badBytes("String without CR LF", to, 2);
    inbox.start = to + 2;
    const alone = this.#frame === undefined;
    return this.#bulk(type, alone ? inbox.bytes.slice(from, to) : this.#slab.copy(inbox.bytes, from, to));
  }

  #openUncounted(type: number, length: number, lineEnd: number): Reply | "opened" {
    if (length === MALFORMED || type !== BULK_STRING) throw this.#badLine("Malformed length");
    this.#inbox.start = lineEnd + 2;
    if (length === ABSENT) return { type: "null", value: null };
    this.#body = new Body(this.#limits.bulkBytes);
    this.#due = "chunk";
    return "opened";
  }

  /** The reply for a string that ends where the inbox now starts, two bytes for its CR LF before. */
  #bulk(type: number, value: Uint8Array): Reply {
    if (type === BULK_STRING) return { type: "bulk-string", value };
    if (type === BULK_ERROR) return { type: "bulk-error", value: readText(value, 0, value.length) };
    if (value[FORMAT] !== COLON) {
      const offset = this.#inbox.offset - 2 - value.length + FORMAT;
      throw this.#stop("Verbatim string without a format", offset, escapeBytes(value, FORMAT, FORMAT + 1));
    }
    const format = String.fromCharCode(value[0]!, value[1]!, value[2]!);
    return { type: "verbatim-string", format, value: value.slice(FORMAT + 1) };
  }

  /** Moves what has arrived from the inbox to the body; true when that and its CR LF are whole. */
  #fill(): boolean {
    const inbox = this.#inbox;
    const taken = Math.min(this.#missing, inbox.end - inbox.start);
    if (taken > 0) {
      this.#body.append(inbox.bytes, inbox.start, inbox.start + taken);
      this.#missing -= taken;
      inbox.start += taken;
    }
    const { bytes, start, end } = inbox;
    if (this.#missing > 0 || start === end) return false;
    if (bytes[start] !== CR) throw this.#badBytes("String without CR LF", start, 1);
    if (start + 1 === end) return false;
    if (bytes[start + 1] !== LF) throw this.#badBytes("String without CR LF", start, 2);
    inbox.start = start + 2;
    return true;
  }

  /** Reads the header of one chunk of a streamed string; an empty one ends it. */
  #chunk(): Reply | "opened" | "starved" {
    const inbox = this.#inbox;
    if (inbox.start === inbox.end) return "starved";
    if (inbox.bytes[inbox.start] !== CHUNK) throw this.#badLine("Something else in a streamed string");
    const lineEnd = this.#lineEnd();
    if (lineEnd < 0) return "starved";
    const length = readLength(inbox.bytes, inbox.start + 1, lineEnd);
    if (length < 0) throw this.#badLine("Malformed length");
    const limit = this.#limits.bulkBytes;
    if (this.#body.length + length > limit) throw this.#badLine(`String longer than ${limit} bytes`);
    inbox.start = lineEnd + 2;
    this.#missing = length;
    this.#due = length === 0 ? "value" : "chunk body";
    return length === 0 ? { type: "bulk-string", value: this.#body.take() } : "opened";
  }

  #open(type: Frame["type"], lineEnd: number): Reply | "opened" {
    const inbox = this.#inbox;
    const count = readLength(inbox.bytes, inbox.start + 1, lineEnd);
    if (count === MALFORMED || (count === ABSENT && type !== "array")) throw this.#badLine("Malformed length");
    const depth = this.#frame === undefined ? 1 : this.#frame.depth + 1;
    if (depth > this.#limits.depth) throw this.#badLine(`Nested deeper than ${this.#limits.depth}`);
    const missing = count > 0 && (type === "map" || type === "attribute") ? 2 * count : count;
    if (this.#elements + missing > this.#limits.elements) throw this.#tooMany();
    inbox.start = lineEnd + 2;
    if (count === ABSENT) return { type: "null", value: null };
    if (count === 0) return type === "attribute" ? "opened" : aggregate(type, []);
    const attributes = this.#attributes;
    this.#attributes = undefined;
    const parent = this.#frame;
    // Attributes that follow attributes go on in the same list.
    this.#frame = type === "attribute"
      ? { type, items: attributes ?? [], missing, attributes: undefined, parent, depth }
      : { type, items: [], missing, attributes, parent, depth };
    return "opened";
  }

  /** Reads the `.` that ends a streamed aggregate. */
  #end(lineEnd: number): Reply | "opened" {
    const frame = this.#frame;
    if (frame === undefined || frame.missing !== STREAMED || lineEnd !== this.#inbox.start + 1) {
      throw this.#badLine("End of nothing that streams");
    }
    if (this.#attributes !== undefined) throw this.#badLine("Attribute without a value");
    if (frame.items.length % 2 === 1 && (frame.type === "map" || frame.type === "attribute")) {
      throw this.#badLine("Key without a value");
    }
    this.#inbox.start = lineEnd + 2;
    return this.#close(frame) ?? "opened";
  }

  /** Puts a whole value where it belongs; returns the top-level reply when that is whole with it. */
  #place(value: Reply): Reply | undefined {
    let reply = value;
    if (this.#attributes !== undefined) {
      reply = attributed(reply, this.#attributes);
      this.#attributes = undefined;
    }
    for (let frame = this.#frame; frame !== undefined; frame = this.#frame) {
      frame.items.push(reply);
      if (frame.missing === STREAMED || --frame.missing > 0) return undefined;
      const closed = this.#close(frame);
      if (closed === undefined) return undefined;
      reply = closed;
    }
    this.#elements = 0;
    this.#slab.renew();
    return reply;
  }

  /** Takes a whole aggregate off the stack; an attribute is none, it waits for the next value. */
  #close(frame: Frame): Reply | undefined {
    this.#frame = frame.parent;
    if (frame.type === "attribute") {
      this.#attributes = frame.items.length === 0 ? undefined : frame.items;
      return undefined;
    }
    const reply = aggregate(frame.type, frame.items);
    return frame.attributes === undefined ? reply : attributed(reply, frame.attributes);
  }

  #tooMany(): ProtocolError {
    return this.#badLine(`Reply of more than ${this.#limits.elements} elements`);
  }

  /** The error for the line that starts the inbox, as far as it has arrived. */
  #badLine(message: string): ProtocolError {
    if (this.#inbox.end - this.#inbox.start < EXCERPT) this.#inbox.more();
    const { bytes, start, end } = this.#inbox;
    const line = bytes.subarray(start, Math.min(end, start + EXCERPT));
    const feed = line.indexOf(LF);
    return this.#badBytes(message, start, feed < 0 ? line.length : feed + 1);
  }

  /** The error for `count` bytes of the inbox. */
  #badBytes(message: string, at: number, count: number): ProtocolError {
    const { bytes, start, offset } = this.#inbox;
    return this.#stop(message, offset + at - start, escapeBytes(bytes, at, at + count));
  }

  /** Makes the error final, and lets go of everything that was half read. */
  #stop(message: string, offset: number, excerpt: string): ProtocolError {
    this.#error = new ProtocolError(message, { offset, excerpt });
    this.#inbox.clear();
    this.#body = new Body(0);
    this.#slab.renew();
    this.#frame = undefined;
    this.#attributes = undefined;
    return this.#error;
  }
}
