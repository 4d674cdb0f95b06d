/**
 * A run: messages that stand one behind the other in what has been read, as positions, until somebody takes them.
 *
 * @module
 */

import { decodePart } from "../codec.ts";
import type { Topic } from "./topics.ts";

const EMPTY = new Uint8Array(0);

/** A run has at most so many messages. */
export const MOST_MESSAGES = 256;

/**
 * A run of several messages spans at most so many bytes, or so many times the shortest of its payloads.
 *
 * Its payloads are decoded in one go and cut apart, since a call of the decoder costs 100 ns however short the text, and
 * a cut 8 ns. A piece of a string, as a piece of a buffer, keeps the whole of it: so this is the most that somebody who
 * keeps one payload can hold. With 1 KiB of payload, to decode eight at a
 * time instead of one halved the processor time of a message on Deno and Node (0.44 to 0.24 µs in memory).
 */
export const SPAN_BYTES = 2048;
/** See {@linkcode SPAN_BYTES}. */
export const SPAN_PAYLOADS = 8;
/** And never more, in bytes. */
export const LONGEST_SPAN_BYTES = 16 * 1024;

/** After runs that were not ASCII the decoder is called for each message, at first for one run, at most for so many. */
const MOST_APART = 64;

/** The run. One object serves a whole connection: what it holds ends with the next read. */
export class Run {
  readonly type = "messages";
  /** How many messages there are. */
  count = 0;
  /** How many of them were taken. Whoever takes the next one counts on. */
  taken = 0;
  /** `halted`: no more is to be taken for now. */
  state: "flowing" | "halted" = "flowing";
  #topics: Topic[] = [];
  #from = new Int32Array(MOST_MESSAGES);
  #to = new Int32Array(MOST_MESSAGES);
  #bytes: Uint8Array = EMPTY;
  #memory: "kept" | "reused" = "reused";
  /** The most bytes that the run may span, by the shortest payload so far. */
  #span = LONGEST_SPAN_BYTES;
  /** `whole`: `#text` has one character for each byte from the first payload to the last. `apart`: it has not. */
  #decoded: "not yet" | "whole" | "apart" = "not yet";
  #text = "";
  /** The same bytes, in a buffer of their own. */
  #copy: Uint8Array | undefined;
  /** How many runs from now on are decoded message by message, and how many after the next that is not ASCII. */
  #apart = 0;
  #nextApart = 1;
  readonly #decodePart: typeof decodePart;

  /** An empty run, whose text is decoded by `decode`. */
  constructor(decode: typeof decodePart = decodePart) {
    this.#decodePart = decode;
  }

  /** Begins a new run in `bytes`, which are written to again, or `"kept"` as they are. */
  begin(bytes: Uint8Array, memory: "kept" | "reused" = "reused"): void {
    this.#memory = memory;
    this.count = 0;
    this.taken = 0;
    this.#bytes = bytes;
    this.#span = LONGEST_SPAN_BYTES;
    this.#decoded = "not yet";
    this.#text = "";
    this.#copy = undefined;
  }

  /** Lets go of what it held; gives nothing. */
  clear(): undefined {
    this.begin(EMPTY);
    return undefined;
  }

  /** Adds the message whose payload is `bytes[from]` to `bytes[to - 1]`; false where the run would become too long. */
  add(topic: Topic, from: number, to: number): boolean {
    const i = this.count;
    const span = Math.max(SPAN_BYTES, SPAN_PAYLOADS * (to - from));
    if (span < this.#span) this.#span = span;
    if (i > 0 && (i === MOST_MESSAGES || to - this.#from[0]! > this.#span)) return false;
    this.#topics[i] = topic;
    this.#from[i] = from;
    this.#to[i] = to;
    this.count = i + 1;
    return true;
  }

  /** Becomes a run of one message. */
  hold(topic: Topic, payload: Uint8Array): void {
    this.begin(payload, "kept");
    this.add(topic, 0, payload.length);
  }

  /** What message `i` was published on. */
  topic(i: number): Topic {
    return this.#topics[i]!;
  }

  /** How long the payload of message `i` is, in bytes. */
  size(i: number): number {
    return this.#to[i]! - this.#from[i]!;
  }

  /** The payload of message `i` as text; a byte that is not UTF-8 becomes U+FFFD. */
  text(i: number): string {
    if (this.#decoded === "not yet") this.#decode();
    if (this.#decoded === "apart") return this.#decodePart(this.#bytes, this.#from[i]!, this.#to[i]!);
    const start = this.#from[0]!;
    return this.#text.substring(this.#from[i]! - start, this.#to[i]! - start);
  }

  /** The payload of message `i`, to be looked at now: its bytes are written to again. */
  view(i: number): Uint8Array {
    return this.#bytes.subarray(this.#from[i]!, this.#to[i]!);
  }

  /** The payload of message `i`, to be kept. It may share a buffer with others, as long as {@linkcode SPAN_BYTES} says. */
  bytes(i: number): Uint8Array {
    const start = this.#from[0]!;
    if (this.count === 1) return this.#isShareable() ? this.view(0) : this.#bytes.slice(start, this.#to[0]);
    this.#copy ??= this.#bytes.slice(start, this.#to[this.count - 1]);
    return this.#copy.subarray(this.#from[i]! - start, this.#to[i]! - start);
  }

  /** May the only payload be kept where it is? Its memory stays as it is, and is not much more. */
  #isShareable(): boolean {
    const most = Math.max(SPAN_BYTES, SPAN_PAYLOADS * this.size(0));
    return this.#memory === "kept" && this.#bytes.buffer.byteLength <= most;
  }

  #decode(): void {
    this.#decoded = "apart";
    if (this.count > 1 && this.#apart > 0) {
      this.#apart--;
      return;
    }
    const [from, to] = [this.#from[0]!, this.#to[this.count - 1]!];
    this.#text = this.#decodePart(this.#bytes, from, to);
    // No sequence of UTF-8 becomes more characters than it has bytes. So where the lengths agree, each byte became one.
    if (this.count === 1 || this.#text.length === to - from) {
      this.#decoded = "whole";
      this.#nextApart = 1;
    } else {
      this.#apart = this.#nextApart;
      this.#nextApart = Math.min(2 * this.#nextApart, MOST_APART);
    }
  }
}
