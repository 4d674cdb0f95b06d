/**
 * Bytes to commands: RESP arrays of bulk strings, and, before the first of them, lines as a person types them.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { Reader } from "../resp/reader.ts";
import { concat } from "../resp/writer.ts";

/** The longest line that may be typed, in bytes, as in Redis. */
const INLINE_LIMIT = 65_536;
const EMPTY = new Uint8Array();
const LF = 0x0a;
const CR = 0x0d;
const STAR = 0x2a;
const BACKSLASH = 0x5c;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;

/**
 * The commands of one connection, in order. A connection starts with typed lines (`PING\r\n` in netcat) and turns to
 * RESP for good at the first line that starts with `*`; a real client never types a line.
 */
export class Requests {
  readonly #reader = new Reader();
  #dialect: "inline" | "resp" = "inline";
  #typed: Uint8Array = EMPTY;

  /** Takes what came, and owns it. */
  feed(chunk: Uint8Array): void {
    if (this.#dialect === "resp") return this.#reader.feed(chunk);
    this.#typed = this.#typed.length === 0 ? chunk : concat([this.#typed, chunk]);
  }

  /**
   * The words of the next whole command, at least one; `undefined` when more bytes are needed.
   *
   * @throws {ProtocolError} when what came is no command; the connection cannot go on
   */
  next(): Uint8Array[] | undefined {
    while (this.#dialect === "inline") {
      if (this.#typed[0] === STAR) {
        this.#dialect = "resp";
        this.#reader.feed(this.#typed);
        this.#typed = EMPTY;
        break;
      }
      const end = this.#typed.indexOf(LF);
      if (end < 0 && this.#typed.length <= INLINE_LIMIT) return undefined;
      if (end < 0 || end > INLINE_LIMIT) throw new ProtocolError("too big inline request");
      const words = splitLine(this.#typed.subarray(0, this.#typed[end - 1] === CR ? end - 1 : end));
      this.#typed = this.#typed.subarray(end + 1);
      if (words.length > 0) return words;
    }
    return this.#nextArray();
  }

  #nextArray(): Uint8Array[] | undefined {
    for (let reply = this.#reader.next(); reply !== undefined; reply = this.#reader.next()) {
      if (reply.type === "null") continue; // `*-1`, which Redis passes over too
      if (reply.type !== "array") throw new ProtocolError("expected an array of bulk strings");
      const words = reply.value.map((word) => {
        if (word.type !== "bulk-string") throw new ProtocolError("expected an array of bulk strings");
        return word.value;
      });
      if (words.length > 0) return words;
    }
    return undefined;
  }
}

const ESCAPES: ReadonlyMap<number, number> = new Map(
  [["n", 0x0a], ["r", 0x0d], ["t", 0x09], ["b", 0x08], ["a", 0x07]].map(([letter, byte]) => [
    String(letter).charCodeAt(0),
    Number(byte),
  ]),
);

/**
 * Splits a typed line at white space, as Redis's `sdssplitargs` does: `"a\x41\n"` with escapes, `'a\'b'` with none but
 * that one.
 *
 * @throws {ProtocolError} when a quote stays open, or a word follows it without a space
 */
export function splitLine(line: Uint8Array): Uint8Array[] {
  const words: Uint8Array[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isSpace(line[at]!)) at += 1;
    if (at >= line.length) return words;
    const word: number[] = [];
    while (at < line.length && !isSpace(line[at]!)) {
      const byte = line[at]!;
      if (byte === DOUBLE_QUOTE || byte === SINGLE_QUOTE) at = takeQuoted(line, at, word);
      else {
        word.push(byte);
        at += 1;
      }
    }
    words.push(Uint8Array.from(word));
  }
}

/** Appends what stands between the quote at `start` and its twin to `word`; returns where the line goes on. */
function takeQuoted(line: Uint8Array, start: number, word: number[]): number {
  const quote = line[start];
  let at = start + 1;
  while (at < line.length && line[at] !== quote) {
    if (line[at] !== BACKSLASH || at + 1 >= line.length) {
      word.push(line[at]!);
      at += 1;
    } else if (quote === SINGLE_QUOTE) {
      const escaped = line[at + 1] === SINGLE_QUOTE;
      word.push(escaped ? SINGLE_QUOTE : BACKSLASH);
      at += escaped ? 2 : 1;
    } else {
      const hex = /^\\x([0-9a-f]{2})/i.exec(String.fromCharCode(...line.subarray(at, at + 4)))?.[1];
      word.push(hex === undefined ? ESCAPES.get(line[at + 1]!) ?? line[at + 1]! : parseInt(hex, 16));
      at += hex === undefined ? 2 : 4;
    }
  }
  const closed = at < line.length && (at + 1 === line.length || isSpace(line[at + 1]!));
  if (!closed) throw new ProtocolError("unbalanced quotes in request");
  return at + 1;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
