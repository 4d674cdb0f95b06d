/**
 * What stands in a line: lengths, numbers and texts, read from the bytes `from` to `to - 1`.
 *
 * Decimals are strict, as hiredis has them: no leading zero, no blank. A number that a server would never write means
 * that we read at the wrong place, and going on would turn payloads into headers.
 *
 * @module
 */

import type { Reply } from "./reply.ts";

/** The length `-1`: there is no value. */
export const ABSENT = -1;
/** The length `?`: the value comes in pieces. */
export const STREAMED = -2;
/** Not a length at all. */
export const MALFORMED = -3;

const INTEGER = 0x3a; // :
const SIMPLE_STRING = 0x2b; // +
const SIMPLE_ERROR = 0x2d; // -
const NULL = 0x5f; // _
const BOOLEAN = 0x23; // #
const DOUBLE = 0x2c; // ,
const BIG_NUMBER = 0x28; // (

const ZERO = 0x30;
const PLUS = 0x2b;
const MINUS = 0x2d;
const QUESTION = 0x3f;

const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;
/** That many digits are exact in a number, whichever they are. */
const EXACT_DIGITS = 15;
/** No 64-bit integer has more digits. */
const MAX_DIGITS = 19;

const FINITE = /^[+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?$/i;
const INFINITE = /^[+-]?inf$/i;
/** Printed by the server's C library, some of which write the sign. */
const NOT_A_NUMBER = /^[+-]?nan$/i;

/** A byte-order mark is content: Redis strings are bytes, and bytes that go in come out. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A value that is all in its header; `undefined` where that is malformed. */
export function readScalar(type: number, bytes: Uint8Array, from: number, to: number): Reply | undefined {
  switch (type) {
    case SIMPLE_STRING:
      return { type: "simple-string", value: readText(bytes, from, to) };
    case SIMPLE_ERROR:
      return { type: "simple-error", value: readText(bytes, from, to) };
    case INTEGER: {
      const value = readInteger(bytes, from, to);
      return value === undefined ? undefined : { type: "integer", value };
    }
    case DOUBLE: {
      const value = readDouble(bytes, from, to);
      return value === undefined ? undefined : { type: "double", value };
    }
    case BIG_NUMBER: {
      const value = readBigNumber(bytes, from, to);
      return value === undefined ? undefined : { type: "big-number", value };
    }
    case BOOLEAN: {
      const letter = readText(bytes, from, to);
      return letter === "t" || letter === "f" ? { type: "boolean", value: letter === "t" } : undefined;
    }
    case NULL:
      return from === to ? { type: "null", value: null } : undefined;
  }
}

/** The text, decoded as UTF-8; malformed sequences become U+FFFD. */
export function readText(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, to));
}

/** The length of a bulk string or an aggregate, or {@linkcode ABSENT}, {@linkcode STREAMED} or {@linkcode MALFORMED}. */
export function readLength(bytes: Uint8Array, from: number, to: number): number {
  const first = bytes[from];
  if (first === QUESTION && to - from === 1) return STREAMED;
  if (first === MINUS && to - from === 2 && bytes[from + 1] === ZERO + 1) return ABSENT;
  return isDecimal(bytes, from, to) ? decimal(bytes, from, to) : MALFORMED;
}

/** A signed 64-bit integer: a number where that is exact, otherwise a bigint; `undefined` where it is none. */
function readInteger(bytes: Uint8Array, from: number, to: number): number | bigint | undefined {
  const digits = afterSign(bytes, from);
  if (to - digits > MAX_DIGITS || !isDecimal(bytes, digits, to)) return undefined;
  if (to - digits <= EXACT_DIGITS) {
    const value = decimal(bytes, digits, to);
    return bytes[from] === MINUS && value !== 0 ? -value : value;
  }
  const value = BigInt(readText(bytes, from, to));
  if (value < MIN_INTEGER || value > MAX_INTEGER) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** An integer of any size; `undefined` where it is none. */
function readBigNumber(bytes: Uint8Array, from: number, to: number): bigint | undefined {
  return isDecimal(bytes, afterSign(bytes, from), to) ? BigInt(readText(bytes, from, to)) : undefined;
}

/** A double, also infinite or not a number; `undefined` where it is none. */
function readDouble(bytes: Uint8Array, from: number, to: number): number | undefined {
  const text = readText(bytes, from, to);
  if (FINITE.test(text)) return Number(text);
  if (INFINITE.test(text)) return bytes[from] === MINUS ? -Infinity : Infinity;
  return NOT_A_NUMBER.test(text) ? NaN : undefined;
}

/** The bytes as ASCII, all others escaped, so that an error fits in one line of any log. */
export function escapeBytes(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  for (const byte of bytes.subarray(from, to)) text += escapeByte(byte);
  return text;
}

function escapeByte(byte: number): string {
  const character = String.fromCharCode(byte);
  if (character === "\r") return "\\r";
  if (character === "\n") return "\\n";
  if (character === '"' || character === "\\") return `\\${character}`;
  return byte >= 0x20 && byte < 0x7f ? character : `\\x${byte.toString(16).padStart(2, "0")}`;
}

function afterSign(bytes: Uint8Array, from: number): number {
  return bytes[from] === MINUS || bytes[from] === PLUS ? from + 1 : from;
}

function isDecimal(bytes: Uint8Array, from: number, to: number): boolean {
  if (from >= to || (bytes[from] === ZERO && to - from > 1)) return false;
  for (let at = from; at < to; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return false;
  }
  return true;
}

/** Exact up to 15 digits; beyond, at least of the right size, which is all that a limit needs. */
function decimal(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + bytes[at]! - ZERO;
  return value;
}
