/**
 * Redis's glob, over bytes: `*`, `?`, `[a-z]`, `[^a]` and `\` before a byte that stands for itself.
 * Source: `stringmatchlen` of https://github.com/redis/redis/blob/7.2/src/util.c, oddities included:
 *
 * 1. No pattern but the empty one matches the empty text, not even `*`.
 * 2. A class that nobody closes ends with the pattern: `[ab` is `[ab]`. So `[^` is any byte, and `[` is none.
 * 3. `]` closes a class wherever it stands, so `[]` is no byte; but after `-` it is the end of a range: `[a-]`.
 * 4. The ends of a range may come in either order.
 *
 * Bytes are unsigned, as on ARM. On x86 Redis compares signed ones, which differs for a range across 0x7f only.
 *
 * @module
 */

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CARET = 0x5e;
const DASH = 0x2d;
const BACKSLASH = 0x5c;

/**
 * Does `pattern` match all of `text`?
 *
 * Every part of a pattern other than `*` takes exactly one byte, so after a mismatch only the last `*` needs to give
 * way: at most `pattern.length * text.length` steps, whatever the pattern.
 */
export function matchGlob(pattern: Uint8Array, text: Uint8Array): boolean {
  if (text.length === 0) return pattern.length === 0;
  let at = 0;
  let position = 0;
  let afterStar = -1;
  let starTook = 0;
  while (position < text.length) {
    if (pattern[at] === STAR) {
      at += 1;
      afterStar = at;
      starTook = position;
      continue;
    }
    const next = at < pattern.length ? matchOne(pattern, at, text[position]!) : 0;
    if (next > 0) {
      at = next;
      position += 1;
    } else if (afterStar >= 0) {
      at = afterStar;
      starTook += 1;
      position = starTook;
    } else {
      return false;
    }
  }
  while (pattern[at] === STAR) at += 1;
  return at >= pattern.length;
}

/** Where the pattern goes on after the part at `at` has taken `byte`; 0 when it does not take it. */
function matchOne(pattern: Uint8Array, at: number, byte: number): number {
  switch (pattern[at]) {
    case QUESTION:
      return at + 1;
    case OPEN:
      return matchClass(pattern, at + 1, byte);
    case BACKSLASH:
      if (at + 1 < pattern.length) return pattern[at + 1] === byte ? at + 2 : 0;
      return byte === BACKSLASH ? at + 1 : 0;
    default:
      return pattern[at] === byte ? at + 1 : 0;
  }
}

/** The same for a class, whose `[` stands just before `at`. */
function matchClass(pattern: Uint8Array, at: number, byte: number): number {
  const negated = pattern[at] === CARET;
  if (negated) at += 1;
  let found = false;
  while (at < pattern.length && pattern[at] !== CLOSE) {
    const left = pattern.length - at;
    const first = pattern[at]!;
    if (first === BACKSLASH && left >= 2) {
      if (pattern[at + 1] === byte) found = true;
      at += 2;
    } else if (pattern[at + 1] === DASH && left >= 3) {
      const last = pattern[at + 2]!;
      if (byte >= Math.min(first, last) && byte <= Math.max(first, last)) found = true;
      at += 3;
    } else {
      if (first === byte) found = true;
      at += 1;
    }
  }
  return found === negated ? 0 : at + 1;
}
