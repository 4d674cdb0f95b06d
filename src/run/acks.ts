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
/** The elements of an acknowledgement. */
const ELEMENTS = 3;
/** In bytes. */
const LONGEST_LABEL = "punsubscribe".length;
const LONGEST_LINE = 16;
/** A longer name, in bytes, is not looked for. */
const LONGEST_NAME = 256;

/** Finds acknowledgements on one connection. */
export class Acks {
  readonly #reader: Reader;
  readonly #type: string;
  /** What comes before a name, by label and by length. */
  readonly #beginnings = new Map<string, Uint8Array[]>();
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
    const { bytes, start, end } = inbox;
    const beginning = this.#beginning(label, name.length);
    // The shortest that can follow the name: CR LF, a colon, a digit, CR LF.
    const colon = start + beginning.length + name.length + 2;
    if (colon + 4 > end) return false;
    for (let i = 0, at = start; i < beginning.length; i++) if (bytes[at++] !== beginning[i]) return false;
    const from = start + beginning.length;
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

  #beginning(label: string, length: number): Uint8Array {
    let all = this.#beginnings.get(label);
    if (all === undefined) this.#beginnings.set(label, all = []);
    return all[length] ??= new TextEncoder().encode(
      `${this.#type}${ELEMENTS}\r\n$${label.length}\r\n${label}\r\n$${length}\r\n`,
    );
  }
}
