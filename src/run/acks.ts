/**
 * The short way for what comes after messages most often: acknowledgements of names, which are known beforehand since
 * they are the next that are due. As `scanner.ts` it only says "here it is" or "not here": whatever is of another type, for
 * another name or malformed is left to the reader.
 *
 * They are looked at as text, by a pattern: of 10,000 most are read by code that has not been compiled yet, and what is done
 * there for each byte takes three times as long as what the platform does for all of them. So does what is done for each
 * name: where all of a command are there, what their names look like in them is compared with the command.
 *
 * @module
 */

import type { Inbox } from "../resp/buffer.ts";
import type { Reader } from "../resp/reader.ts";

/** The elements of an acknowledgement. */
const ELEMENTS = 3;
/** In bytes. */
const LONGEST_LABEL = "punsubscribe".length;
const LONGEST_LINE = 16;
/** A longer name, in bytes, is not looked for. */
const LONGEST_NAME = 199;
/** So many bytes an acknowledgement has at most behind its name, and so many beside its label and its name. */
const COUNT_BYTES = 14;
const BESIDE_BYTES = 24;

/** What acknowledgements with one label look like. */
interface Look {
  /** One of them, from the last one on: how long its name is, and its name. */
  readonly one: RegExp;
  /** As {@linkcode one}, all of them: how their names stand there. */
  readonly each: RegExp;
  /** What one looks like, as a pattern, and so many in a row, as were asked for the last time. */
  readonly source: string;
  all: RegExp;
  count: number;
  /** How one begins. */
  readonly head: string;
  /** Where the length of a label stands, its first digit: that of a message is another one. */
  readonly digit: number;
}

const DIGIT_AT = `>${ELEMENTS}\r\n$`.length;
/** A zero in front of others is for the reader to refuse; so is a count that may be no number. */
const COUNT = "(?:0|[1-9]\\d{0,8})\\r\\n";
/** What may stand where the end of one is cut off, behind its name. */
const CUT_COUNT = /^\d{0,9}\r?$/;
const NAME = "[\\0-\\x0c\\x0e-\\x7f]*";
/** Fits in one way only, or a pattern that does not fit would be tried in more ways than there is time for. */
const LENGTH = "(?:1\\d\\d|[1-9]?\\d)";

const NONE = /(?!)/y;

/** Only ASCII fits the pattern, and of that each character is a byte; anything else may look as it likes. */
const decoder = new TextDecoder();

/** Finds acknowledgements on one connection. */
export class Acks {
  readonly #reader: Reader;
  readonly #type: ">" | "*";
  readonly #looks = new Map<string, Look>();
  /** The longest name, in bytes; negative where the limits of the reader are tighter than any acknowledgement needs. */
  readonly #longest: number;
  #isCutOff = false;

  /** In RESP3 an array is never an acknowledgement; in RESP2 there are no pushes. */
  constructor(reader: Reader, protocol: 2 | 3) {
    const { bulkBytes, elements, depth, lineBytes } = reader.limits;
    const isEnough = elements >= ELEMENTS && depth >= 1 && lineBytes >= LONGEST_LINE && bulkBytes >= LONGEST_LABEL;
    this.#reader = reader;
    this.#type = protocol === 3 ? ">" : "*";
    this.#longest = isEnough ? Math.min(bulkBytes, LONGEST_NAME) : -1;
  }

  /** Is all that is there, behind what {@linkcode take} took, the beginning of the next one? Then more of it has to be waited for. */
  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /**
   * Takes the acknowledgements with this label that come next, whole, for the names of `due` from the one at `from` on, one
   * behind the other; gives the index behind the last. `asked` is how all these names stand in the command, where that is
   * known.
   */
  take(label: string, due: readonly { readonly name: string }[], from: number, asked?: string): number {
    this.#isCutOff = false;
    const inbox = this.#reader.inbox;
    if (inbox === undefined) return from;
    // What was read to its end may be no more than the front of a chunk.
    if (inbox.start === inbox.end) inbox.more();
    const look = this.#look(label);
    let next = from;
    do next = this.#takeShown(inbox, look, due, next, asked); while (this.#isCutOff && inbox.more());
    return next;
  }

  #takeShown(
    inbox: Inbox,
    look: Look,
    due: readonly { readonly name: string }[],
    from: number,
    asked?: string,
  ): number {
    const { bytes, start, end } = inbox;
    this.#isCutOff = false;
    if (start === end || bytes[start] !== look.head.charCodeAt(0)) return from;
    if (start + DIGIT_AT < end && bytes[start + DIGIT_AT] !== look.digit) return from;
    const count = due.length - from;
    // Where others are longer, the rest is looked at the next time.
    const most = start + count * look.head.length +
      (asked === undefined ? count * (due[from]!.name.length + BESIDE_BYTES) : asked.length + count * COUNT_BYTES);
    const text = decoder.decode(bytes.subarray(start, Math.min(end, most)));
    if (from === 0 && asked !== undefined && this.#longest === LONGEST_NAME) {
      const taken = allOf(text, look, asked, count);
      if (taken > 0) {
        this.#reader.skip(start + taken);
        return due.length;
      }
    }
    const { one } = look;
    one.lastIndex = 0;
    const next = eachOf(text, one, due, from, this.#longest);
    const taken = one.lastIndex;
    if (next > from) this.#reader.skip(start + taken);
    this.#isCutOff = next < due.length && end <= most && taken < text.length &&
      this.#isBeginning(text.slice(taken), look, due[next]!.name);
    return next;
  }

  /** Is this the beginning of an acknowledgement of that name, and not the whole? */
  #isBeginning(text: string, { head }: Look, name: string): boolean {
    const before = `${head}\r\n$${name.length}\r\n${name}\r\n:`;
    if (name.length > this.#longest) return false;
    if (text.length < before.length) return before.startsWith(text);
    return text.startsWith(before) && CUT_COUNT.test(text.slice(before.length));
  }

  #look(label: string): Look {
    let look = this.#looks.get(label);
    if (look !== undefined) return look;
    const { length } = label;
    const head = `${this.#type}${ELEMENTS}\r\n$${length}\r\n${label}`;
    const begin = head.replace(/[*$]/g, "\\$&");
    const end = `\r\n:${COUNT}`;
    const name = `\r\n\\$${LENGTH}\r\n${NAME}`;
    look = {
      one: new RegExp(`${begin}\r\n\\$(${LENGTH})\r\n(${NAME})${end}`, "y"),
      each: new RegExp(`${begin}(${name})${end}`, "g"),
      source: begin + name + end,
      all: NONE,
      count: 0,
      head,
      digit: `${length}`.charCodeAt(0),
    };
    this.#looks.set(label, look);
    return look;
  }
}

/** How long so many acknowledgements are, for the names as they were asked for; 0 where that is not what comes. */
function allOf(text: string, look: Look, asked: string, count: number): number {
  // They have a head and a count beside.
  if (text.length < asked.length + count * look.head.length) return 0;
  if (look.count !== count) {
    look.all = new RegExp(`(?:${look.source}){${count}}`, "y");
    look.count = count;
  }
  const { all, each } = look;
  all.lastIndex = 0;
  if (!all.test(text)) return 0;
  const { lastIndex } = all;
  return text.slice(0, lastIndex).replace(each, "$1") === asked ? lastIndex : 0;
}

/** Which one is the first whose acknowledgement does not come; `one` is then behind those that do. */
function eachOf(
  text: string,
  one: RegExp,
  due: readonly { readonly name: string }[],
  from: number,
  longest: number,
): number {
  let next = from;
  let end = 0;
  let size = -1;
  let header = "";
  for (; next < due.length; next++) {
    const { name } = due[next]!;
    const found = one.exec(text);
    if (found === null || found[2] !== name) break;
    if (size !== name.length) header = `${size = name.length}`;
    if (size > longest || found[1] !== header) break;
    end = one.lastIndex;
  }
  one.lastIndex = end;
  return next;
}
