/**
 * The short way for what comes after messages most often: acknowledgements of names, which are known beforehand since
 * they are the next that are due. As `scanner.ts` it only says "here it is" or "not here": whatever is of another type, for
 * another name, cut off or malformed is left to the reader.
 *
 * They are looked at as text, by a pattern: of 10,000 most are read by code that has not been compiled yet, and what is done
 * there for each byte takes three times as long as what the platform does for all of them.
 *
 * @module
 */

import type { Reader } from "../resp/reader.ts";

const GREATER = 0x3e;
const ASTERISK = 0x2a;
/** The elements of an acknowledgement. */
const ELEMENTS = 3;
/** In bytes. */
const LONGEST_LABEL = "punsubscribe".length;
const LONGEST_LINE = 16;
/** A longer name, in bytes, is not looked for. */
const LONGEST_NAME = 256;
/** So many bytes an acknowledgement has at most beside its label and its name. */
const BESIDE_BYTES = 32;

/** What acknowledgements with one label look like. */
interface Look {
  /** One of them, from the last one on: how long its name is, and its name. */
  readonly pattern: RegExp;
  /** Where the length of a label stands, its first digit: that of a message is another one. */
  readonly digit: number;
}

const DIGIT_AT = `>${ELEMENTS}\r\n$`.length;

/** Only ASCII fits the pattern, and of that each character is a byte; anything else may look as it likes. */
const decoder = new TextDecoder();

/** Finds acknowledgements on one connection. */
export class Acks {
  readonly #reader: Reader;
  readonly #type: number;
  readonly #looks = new Map<string, Look>();
  /** The longest name, in bytes; negative where the limits of the reader are tighter than any acknowledgement needs. */
  readonly #longest: number;

  /** In RESP3 an array is never an acknowledgement; in RESP2 there are no pushes. */
  constructor(reader: Reader, protocol: 2 | 3) {
    const { bulkBytes, elements, depth, lineBytes } = reader.limits;
    const isEnough = elements >= ELEMENTS && depth >= 1 && lineBytes >= LONGEST_LINE && bulkBytes >= LONGEST_LABEL;
    this.#reader = reader;
    this.#type = protocol === 3 ? GREATER : ASTERISK;
    this.#longest = isEnough ? Math.min(bulkBytes, LONGEST_NAME) : -1;
  }

  /**
   * Takes the acknowledgements with this label that come next, whole, for the names of `due` from the one at `from` on, one
   * behind the other; gives the index behind the last.
   */
  take(label: string, due: readonly { readonly name: string }[], from: number): number {
    const inbox = this.#reader.inbox;
    if (inbox === undefined) return from;
    const { bytes, start } = inbox;
    const { pattern, digit } = this.#look(label);
    if (bytes[start] !== this.#type || bytes[start + DIGIT_AT] !== digit) return from;
    const longest = this.#longest;
    // Where others are longer, the rest is looked at the next time.
    const most = (due.length - from) * (due[from]!.name.length + label.length + BESIDE_BYTES);
    const text = decoder.decode(bytes.subarray(start, Math.min(inbox.end, start + most)));
    let next = from;
    let end = 0;
    let size = -1;
    let header = "";
    pattern.lastIndex = 0;
    for (; next < due.length; next++) {
      const { name } = due[next]!;
      const found = pattern.exec(text);
      if (found === null || found[2] !== name) break;
      if (size !== name.length) header = `${size = name.length}`;
      if (size > longest || found[1] !== header) break;
      end = pattern.lastIndex;
    }
    if (next > from) this.#reader.skip(start + end);
    return next;
  }

  #look(label: string): Look {
    let look = this.#looks.get(label);
    if (look !== undefined) return look;
    const { length } = label;
    const type = String.fromCharCode(this.#type).replace("*", "\\*");
    const source = `${type}${ELEMENTS}\\r\\n\\$${length}\\r\\n${label}\\r\\n` +
      // A zero in front of others is for the reader to refuse; so is a count that may be no number.
      "\\$(\\d{1,3})\\r\\n([\\0-\\x0c\\x0e-\\x7f]*)\\r\\n:(?:0|[1-9]\\d{0,8})\\r\\n";
    look = { pattern: new RegExp(source, "y"), digit: `${length}`.charCodeAt(0) };
    this.#looks.set(label, look);
    return look;
  }
}
