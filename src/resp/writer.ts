/**
 * Commands and replies to bytes: what a client sends, and what a broker answers.
 *
 * @module
 */

import type { Reply } from "./reply.ts";

/** One argument of a command; a number goes as its decimal text. */
export type Argument = string | number | Uint8Array;

const encoder = new TextEncoder();
const EMPTY = new Uint8Array(0);

/** Up to this length, in characters, a loop writes faster than the call that would do it. */
const SHORT = 32;

/** About so much room, in bytes, is made at most for commands that are not there yet. */
const ROOM = 72 * 1024;

/** Above this length, in characters, encoding a text costs less than measuring it first. */
const LONG = 256;

const CR = 0x0d;
const LF = 0x0a;
const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const ZERO = 0x30;

/**
 * The bytes of one command: an array of bulk strings. A lone surrogate becomes U+FFFD, as in every UTF-8 encoder of the web.
 *
 * @throws {TypeError} when there is no argument, or one is no string, finite number or Uint8Array
 */
export function encodeCommand(args: readonly Argument[]): Uint8Array {
  const pieces = piecesOf(args);
  const bytes = new Uint8Array(commandSize(pieces));
  writeCommand(bytes, 0, pieces);
  return bytes;
}

/**
 * Commands that go out together. They are written into one buffer as they come, since a buffer for each would cost more
 * than all the rest of a command.
 */
export class CommandBuffer {
  #bytes: Uint8Array = EMPTY;
  #length = 0;
  /** What the last text of names was made of: the next one has as many pieces. */
  #pieces: string[] = [];

  /** How many bytes are waiting. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds a command.
   *
   * @throws {TypeError} as {@linkcode encodeCommand}; nothing is added then
   */
  add(args: readonly Argument[]): void {
    const pieces = piecesOf(args);
    this.#reserve(commandSize(pieces));
    this.#length = writeCommand(this.#bytes, this.#length, pieces);
  }

  /**
   * Adds a command of a verb and names, and gives how these stand in it; undefined, and nothing is added, where one of them
   * is not ASCII. As one text, since what is done for each character of 10,000 names runs long before it is compiled.
   * For the first there is room for so many `commands` like it.
   */
  addNames(verb: string, named: readonly { readonly name: string }[], commands = 1): string | undefined {
    const head = `*${named.length + 1}\r\n$${verb.length}\r\n${verb}`;
    if (this.#pieces.length !== 2 * named.length) this.#pieces = new Array<string>(2 * named.length);
    const text = bulkText(named, this.#pieces);
    const size = head.length + text.length + 2;
    this.#reserve(size, size * Math.max(1, Math.min(commands, Math.ceil(ROOM / size))));
    const bytes = this.#bytes;
    const from = this.#length + head.length;
    const end = from + text.length;
    encoder.encodeInto(head, bytes.subarray(this.#length, from));
    // Beyond ASCII a character is more than a byte, and there is no room for that.
    if (encoder.encodeInto(text, bytes.subarray(from, end)).read < text.length) return undefined;
    this.#length = writeLineEnd(bytes, end);
    return text;
  }

  /** Adds commands that are encoded already. */
  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** What was added since the last call; undefined where nothing was. */
  take(): Uint8Array | undefined {
    if (this.#length === 0) return undefined;
    // One command fills its buffer: a view of that, and a copy of nothing into it, are a tenth of what it costs.
    const bytes = this.#length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    if (this.#pieces.length > 0) this.#pieces = [];
    return bytes;
  }

  /** Makes room for so many bytes more; where there is none at all, for as many as come together. */
  #reserve(more: number, together = more): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(this.#length === 0 ? together : 2 * needed);
    if (this.#length > 0) grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * The names as bulk strings of ASCII, with a line end before each part and none behind the last. A loop in a function of its
 * own is compiled without all that is around it.
 */
function bulkText(named: readonly { readonly name: string }[], pieces: string[]): string {
  let length = -1;
  let header = "";
  for (let i = 0; i < named.length; i++) {
    const { name } = named[i]!;
    if (name.length !== length) header = `\r\n$${length = name.length}\r\n`;
    pieces[2 * i] = header;
    pieces[2 * i + 1] = name;
  }
  return pieces.join("");
}

/** An argument that is quick to measure: short text, or bytes. */
type Piece = string | Uint8Array;

function piecesOf(args: readonly Argument[]): readonly Piece[] {
  if (args.length === 0) throw new TypeError("Cannot encode a command without a single argument");
  return args.every(isPiece) ? args : args.map(pieceOf);
}

function isPiece(arg: Argument): arg is Piece {
  return typeof arg === "string" ? arg.length <= LONG : arg instanceof Uint8Array;
}

function commandSize(pieces: readonly Piece[]): number {
  let size = headerSize(pieces.length);
  for (const piece of pieces) {
    const length = typeof piece === "string" ? utf8Length(piece) : piece.length;
    size += headerSize(length) + length + 2;
  }
  return size;
}

/** Gives where the command ends. */
function writeCommand(bytes: Uint8Array, start: number, pieces: readonly Piece[]): number {
  let at = writeHeader(bytes, start, ASTERISK, pieces.length);
  for (const piece of pieces) {
    const length = typeof piece === "string" ? utf8Length(piece) : piece.length;
    at = writeHeader(bytes, at, DOLLAR, length);
    if (typeof piece === "string") writeText(bytes, at, piece, length);
    else bytes.set(piece, at);
    at = writeLineEnd(bytes, at + length);
  }
  return at;
}

/** All parts in one piece; a single part is returned as it is, not copied. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  let size = 0;
  for (const part of parts) size += part.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The bytes of a reply, as a server sends it in that protocol.
 *
 * RESP3 has every type. RESP2 lacks most, and gets what servers make of them: pushes and sets are arrays, maps are flat
 * arrays, booleans are 1 and 0, null is `$-1`, other numbers and verbatim strings are bulk strings, bulk errors are
 * simple ones, attributes are left out. A line cannot hold line breaks: each run of them becomes one space.
 */
export function encodeReply(reply: Reply, protocol: 2 | 3): Uint8Array {
  const output = new Output();
  writeReply(output, reply, protocol);
  return output.take();
}

function writeReply(output: Output, reply: Reply, protocol: 2 | 3): void {
  if (protocol === 3 && reply.attributes !== undefined && reply.attributes.length > 0) {
    writePairs(output, "|", reply.attributes, protocol);
  }
  switch (reply.type) {
    case "simple-string":
      return output.text("+", reply.value);
    case "simple-error":
      return output.text("-", reply.value);
    case "bulk-error":
      return protocol === 3 ? output.bulk("!", encoder.encode(reply.value)) : output.text("-", reply.value);
    case "integer":
      return output.line(`:${reply.value}`);
    case "bulk-string":
      return output.bulk("$", reply.value);
    case "null":
      return output.line(protocol === 3 ? "_" : "$-1");
    case "boolean":
      if (protocol === 3) return output.line(reply.value ? "#t" : "#f");
      return output.line(reply.value ? ":1" : ":0");
    case "double":
      return writeNumber(output, ",", doubleText(reply.value), protocol);
    case "big-number":
      return writeNumber(output, "(", String(reply.value), protocol);
    case "verbatim-string":
      return protocol === 3 ? output.bulk("=", reply.value, `${reply.format}:`) : output.bulk("$", reply.value);
    case "array":
    case "set":
    case "push":
      output.line(`${protocol === 3 ? MARKS[reply.type] : "*"}${reply.value.length}`);
      for (const element of reply.value) writeReply(output, element, protocol);
      return;
    case "map":
      return writePairs(output, "%", reply.value, protocol);
  }
}

const MARKS = { array: "*", set: "~", push: ">" } as const;

function writePairs(
  output: Output,
  mark: "%" | "|",
  pairs: readonly (readonly [Reply, Reply])[],
  protocol: 2 | 3,
): void {
  output.line(protocol === 3 ? `${mark}${pairs.length}` : `*${2 * pairs.length}`);
  for (const [key, value] of pairs) {
    writeReply(output, key, protocol);
    writeReply(output, value, protocol);
  }
}

/** A number that RESP2 has no type for. */
function writeNumber(output: Output, mark: "," | "(", text: string, protocol: 2 | 3): void {
  if (protocol === 3) output.line(`${mark}${text}`);
  else output.bulk("$", encoder.encode(text));
}

function doubleText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (Object.is(value, -0)) return "-0";
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? "inf" : "-inf";
}

/** The bytes of one reply while it is written: one buffer that doubles, since a reply's size is not known before. */
class Output {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** A line of characters below U+0100, each of them one byte. */
  line(text: string): void {
    this.#latin1(text);
    this.#lineEnd();
  }

  /** A line with a text of any characters, as UTF-8. */
  text(mark: string, text: string): void {
    this.#latin1(mark);
    const bytes = encoder.encode(text.replace(/[\r\n]+/g, " "));
    this.#append(bytes);
    this.#lineEnd();
  }

  /** A header and `prefix`, which its length counts, and then the bytes. */
  bulk(mark: string, bytes: Uint8Array, prefix = ""): void {
    this.line(`${mark}${prefix.length + bytes.length}`);
    this.#latin1(prefix);
    this.#append(bytes);
    this.#lineEnd();
  }

  /** What was written, in a buffer of exactly its length. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #latin1(text: string): void {
    this.#reserve(text.length);
    for (let at = 0; at < text.length; at++) this.#bytes[this.#length++] = text.charCodeAt(at);
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #lineEnd(): void {
    this.#reserve(2);
    this.#length = writeLineEnd(this.#bytes, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Names the type only: an argument may be a secret. */
function pieceOf(arg: Argument): Piece {
  if (typeof arg === "string") return arg.length > LONG ? encoder.encode(arg) : arg;
  if (typeof arg === "number") return decimal(arg);
  if (arg instanceof Uint8Array) return arg;
  const type = arg === null ? "null" : typeof arg;
  throw new TypeError(`Cannot encode an argument that is no string, number or Uint8Array: ${type}`);
}

function decimal(value: number): string {
  if (Number.isFinite(value)) return String(value);
  throw new TypeError(`Cannot encode an argument that is not a finite number: ${value}`);
}

function utf8Length(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      length += 1;
      continue;
    }
    length += 2;
    // A pair is two units and four bytes.
    if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) at++;
  }
  return length;
}

/** How many bytes the header of that length or count takes. */
function headerSize(value: number): number {
  let size = 4;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) size++;
  return size;
}

function writeHeader(bytes: Uint8Array, at: number, mark: number, value: number): number {
  const end = at + headerSize(value) - 2;
  bytes[at] = mark;
  let rest = value;
  for (let digit = end - 1; digit > at; digit--) {
    bytes[digit] = ZERO + rest % 10;
    rest = Math.floor(rest / 10);
  }
  return writeLineEnd(bytes, end);
}

function writeLineEnd(bytes: Uint8Array, at: number): number {
  bytes[at] = CR;
  bytes[at + 1] = LF;
  return at + 2;
}

function writeText(bytes: Uint8Array, at: number, text: string, length: number): void {
  if (length !== text.length || length > SHORT) {
    encoder.encodeInto(text, bytes.subarray(at, at + length));
    return;
  }
  for (let index = 0; index < length; index++) bytes[at + index] = text.charCodeAt(index);
}
