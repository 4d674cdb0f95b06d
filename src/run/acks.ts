/**
 * The short way for what comes after messages most often: the acknowledgement of one name, which is known beforehand since
 * it is the next that is due. As `scanner.ts` it only says "here it is" or "not here": whatever is of another type, for
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

  /** Takes the acknowledgement with this label for this name, where it is what comes next, whole; otherwise nothing. */
  take(label: string, name: string): boolean {
    const inbox = this.#reader.inbox;
    if (inbox === undefined || name.length > this.#longest) return false;
    const { bytes, view, start, end } = inbox;
    const { words, length } = this.#beginning(label, name.length);
    const from = start + length;
    // The shortest that can follow the name: CR LF, a colon, a digit, CR LF.
    const colon = from + name.length + 2;
    if (colon + 4 > end) return false;
    for (let i = 0; i < words.length; i++) {
      if (view.getFloat64(start + Math.min(i * WORD, length - WORD), true) !== words[i]) return false;
    }
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i);
      // Beyond ASCII a character is no byte.
      if (code > 0x7f || bytes[from + i] !== code) return false;
    }
    if (bytes[colon - 2] !== CR || bytes[colon - 1] !== LF || bytes[colon] !== COLON) return false;
    let at = colon + 1;
    while (at < end && bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9) at++;
    const digits = at - colon - 1;
    // A zero in front of others is for the reader to refuse.
    if (digits === 0 || digits > MOST_DIGITS || (digits > 1 && bytes[colon + 1] === ZERO)) return false;
    if (at + 2 > end || bytes[at] !== CR || bytes[at + 1] !== LF) return false;
    this.#reader.skip(at + 2);
    return true;
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
