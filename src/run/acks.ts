/**
 * The short way for what comes after messages most often: acknowledgements of names, which are known beforehand since
 * they are the next that are due. As `scanner.ts` it only says "here it is" or "not here": whatever is of another type, for
 * another name, cut off or malformed is left to the reader.
 *
 * @module
 */

import type { Reader } from "../resp/reader.ts";

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const ZERO = 0x30;
/** A count has at most so many digits. */
const MOST_DIGITS = 9;
/** In bytes. */
const WORD = 8;
/** The elements of an acknowledgement. */
const ELEMENTS = 3;
/** In bytes. */
const LONGEST_LABEL = "punsubscribe".length;
const LONGEST_LINE = 16;
/** A longer name, in bytes, is not looked for. */
const LONGEST_NAME = 256;

/** What comes before a name, in words of eight bytes, of which the last overlaps the one before it. */
interface Beginning {
  /** Read as floating-point numbers: none of such text is not a number. */
  readonly words: readonly number[];
  /** In bytes. */
  readonly length: number;
}

/** Finds acknowledgements on one connection. */
export class Acks {
  readonly #reader: Reader;
  readonly #type: string;
  /** What comes before a name, by label and by length, and for the label that was looked for last. */
  readonly #beginnings = new Map<string, Beginning[]>();
  #label = "";
  #ofLabel: Beginning[] = [];
  /** The longest name, in bytes; negative where the limits of the reader are tighter than any acknowledgement needs. */
  readonly #longest: number;

  /** In RESP3 an array is never an acknowledgement; in RESP2 there are no pushes. */
  constructor(reader: Reader, protocol: 2 | 3) {
    const { bulkBytes, elements, depth, lineBytes } = reader.limits;
    const isEnough = elements >= ELEMENTS && depth >= 1 && lineBytes >= LONGEST_LINE && bulkBytes >= LONGEST_LABEL;
    this.#reader = reader;
    this.#type = protocol === 3 ? ">" : "*";
    this.#longest = isEnough ? Math.min(bulkBytes, LONGEST_NAME) : -1;
  }

  /**
   * Takes the acknowledgements with this label that come next, whole, for the names of `due` from the one at `from` on, one
   * behind the other; gives the index behind the last.
   */
  take(label: string, due: readonly { readonly name: string }[], from: number): number {
    const inbox = this.#reader.inbox;
    if (inbox === undefined) return from;
    const { bytes, view, end } = inbox;
    let start = inbox.start;
    let next = from;
    let named = -1;
    let words: readonly number[] = [];
    let length = 0;
    search: for (; next < due.length; next++) {
      const { name } = due[next]!;
      const size = name.length;
      if (size !== named) {
        if (size > this.#longest) break;
        named = size;
        ({ words, length } = this.#beginning(label, size));
      }
      let at = start + length;
      // The shortest that can follow the name: CR LF, a colon, a digit, CR LF.
      if (at + size + 6 > end) break;
      for (let i = 0, word = start; i < words.length; i++, word += WORD) {
        if (view.getFloat64(i < words.length - 1 ? word : at - WORD, true) !== words[i]) break search;
      }
      for (let i = 0; i < size; i++) {
        const code = name.charCodeAt(i);
        // Beyond ASCII a character is no byte.
        if (code > 0x7f || bytes[at++] !== code) break search;
      }
      if (bytes[at] !== CR || bytes[at + 1] !== LF || bytes[at + 2] !== COLON) break;
      const count = at += 3;
      let digit = bytes[at]!;
      while (at < end && digit >= ZERO && digit <= ZERO + 9) digit = bytes[++at]!;
      // A zero in front of others is for the reader to refuse.
      if (at === count || at - count > MOST_DIGITS || (at > count + 1 && bytes[count] === ZERO)) break;
      if (at + 2 > end || digit !== CR || bytes[at + 1] !== LF) break;
      start = at + 2;
    }
    if (next > from) this.#reader.skip(start);
    return next;
  }

  #beginning(label: string, length: number): Beginning {
    if (label !== this.#label) {
      this.#label = label;
      this.#ofLabel = this.#beginnings.get(label) ?? [];
      this.#beginnings.set(label, this.#ofLabel);
    }
    return this.#ofLabel[length] ??= newBeginning(
      `${this.#type}${ELEMENTS}\r\n$${label.length}\r\n${label}\r\n$${length}\r\n`,
    );
  }
}

function newBeginning(text: string): Beginning {
  const { length } = text;
  const view = new DataView(new TextEncoder().encode(text).buffer);
  const words = Array.from(
    { length: Math.ceil(length / WORD) },
    (_, i) => view.getFloat64(Math.min(i * WORD, length - WORD), true),
  );
  return { words, length };
}
