/**
 * A run: messages that stand one behind the other in what has been read, as positions, until somebody takes them.
 *
 * Its payloads are decoded in groups, in one go, and cut apart, since a call of the decoder costs 100 ns however short the
 * text, and a cut 8 ns. A piece of a string, as a piece of a buffer, keeps the whole of it: so the length of a group is the
 * most that somebody who keeps one payload can hold. A run is longer than that, since each costs something
 * by itself: 256 messages of 16 bytes instead of 35 took 6 % less on Deno. Texts that are decoded one by one keep nothing
 * else alive, and need no groups: 256 of 128 bytes in one go instead of 24 took 7 % less on Bun.
 *
 * @module
 */

import { type Decoder, decoder } from "../codec.ts";
import { type Message, PlainMessage } from "../message.ts";
import type { Topic } from "./topics.ts";

const EMPTY = new Uint8Array(0);

/** A run has at most so many messages. */
export const MOST_MESSAGES = 256;

/**
 * A group of several messages spans at most so many bytes, or so many times the shortest of its payloads. With 1 KiB of
 * payload, to decode eight at a time instead of one halved the processor time of a message on Deno and Node (0.44 to
 * 0.24 µs in memory), and sixteen instead of eight took another fifth (258 to 206 ns on Node); with 128 bytes, 4 KiB instead
 * of 2 took 6 % on Deno and 18 % on Node (124 to 102 ns).
 */
export const SPAN_BYTES = 4096;
/** See {@linkcode SPAN_BYTES}. */
export const SPAN_PAYLOADS = 16;
/** And never more, in bytes. */
export const LONGEST_SPAN_BYTES = 16 * 1024;

/** Up to this length, in bytes, to see whether a payload by itself is ASCII takes longer than to decode it as UTF-8. */
const SHORT_ALONE = 1024;

/** After groups that were not ASCII the decoder is called for each message, at first for one group, at most for so many. */
const MOST_APART = 64;

/** The run. One object serves a whole connection: what it holds ends with the next read, but for the last text. */
export class Run {
  readonly type = "messages";
  /** How many messages there are. */
  count = 0;
  /** How many of them were taken. Whoever takes the next one counts on. */
  taken = 0;
  /** `halted`: no more is to be taken for now. `resting`: whoever has taken some may ask for {@linkcode more}. */
  state: "flowing" | "halted" | "resting" = "flowing";
  /** Goes on after a rest, at once; set by whoever hands out what was read, and waits to be asked. */
  more: (() => void) | undefined;
  /** For each message its topic, and where its payload starts and ends. */
  readonly topics: Topic[] = [];
  readonly from = new Int32Array(MOST_MESSAGES);
  readonly to = new Int32Array(MOST_MESSAGES);
  #bytes: Uint8Array = EMPTY;
  #memory: "kept" | "reused" = "reused";
  /** The group that was looked at last: its first message, and the one behind its last. */
  #first = 0;
  #end = 0;
  /** Where its first payload starts. */
  #start = 0;
  /**
   * `whole`: `#text` has one character for each byte of the group, from its first payload to its last. `apart`: it has not.
   * `ascii`: it would have, but each is decoded for itself.
   */
  #decoded: "not yet" | "whole" | "apart" | "ascii" = "not yet";
  /**
   * Kept until there is another one, though nobody asks for it any more. V8 makes its young generation larger after so many
   * bytes have survived in it, and where a consumer keeps nothing, this is all that does: on Node, with 1 KiB, it had 4 MB
   * for four seconds, and collected twice as often as with 8.
   */
  #text = "";
  /** The bytes of the group, in a buffer of their own. */
  #copy: Uint8Array | undefined;
  /** How many groups from now on are decoded message by message, and how many after the next that is not ASCII. */
  #apart = 0;
  #nextApart = 1;
  /** `short`: every payload of the run is, and ASCII. It is looked at once, when the first text is asked for. */
  #texts: "not looked at" | "short" | "any" = "not looked at";
  readonly #decoder: Decoder;

  /** An empty run. */
  constructor(by: Decoder = decoder) {
    this.#decoder = by;
  }

  /** Begins a new run in `bytes`, which are written to again, or `"kept"` as they are. */
  begin(bytes: Uint8Array, memory: "kept" | "reused" = "reused"): void {
    this.#memory = memory;
    this.count = 0;
    this.taken = 0;
    this.#bytes = bytes;
    this.#end = 0;
    this.#copy = undefined;
    this.#texts = "not looked at";
  }

  /** Lets go of what it held, but for the last text if that is a short one; gives nothing. */
  clear(): undefined {
    this.begin(EMPTY);
    if (this.#text.length > LONGEST_SPAN_BYTES) this.#text = "";
    if (this.state === "resting") this.state = "flowing";
    return undefined;
  }

  /** Adds the message whose payload is `bytes[from]` to `bytes[to - 1]`; false where there is no place for it. */
  add(topic: Topic, from: number, to: number): boolean {
    const i = this.count;
    if (i === MOST_MESSAGES) return false;
    this.topics[i] = topic;
    this.from[i] = from;
    this.to[i] = to;
    this.count = i + 1;
    return true;
  }

  /** Becomes a run of one message. */
  hold(topic: Topic, payload: Uint8Array): void {
    this.begin(payload, "kept");
    this.add(topic, 0, payload.length);
  }

  /** From the first payload to the last, in bytes. */
  get span(): number {
    return this.to[this.count - 1]! - this.from[0]!;
  }

  /** What message `i` was published on. */
  topic(i: number): Topic {
    return this.topics[i]!;
  }

  /** How long the payload of message `i` is, in bytes. */
  size(i: number): number {
    return this.to[i]! - this.from[i]!;
  }

  /** The payload of message `i` as text; a byte that is not UTF-8 becomes U+FFFD. */
  text(i: number): string {
    if (this.#isShort()) return this.#decoder.ascii!.decode(this.#bytes, this.from[i]!, this.to[i]!);
    if (i >= this.#end || i < this.#first) this.#look(i);
    if (this.#decoded === "not yet") this.#decode();
    const from = this.from[i]!;
    const to = this.to[i]!;
    if (this.#decoded === "whole") return this.#text.substring(from - this.#start, to - this.#start);
    return this.#decoded === "ascii"
      ? this.#decoder.ascii!.decode(this.#bytes, from, to)
      : this.#decoder.part(this.#bytes, from, to);
  }

  /**
   * Adds message `i` and those behind it, as text, to `into`: as far as they are for the same, in one group or all short,
   * and `into` has less than `most`. Gives the first that is not added, which is `i` where the group is not ASCII. One call
   * for many, and a loop for each way to decode: on Node a tenth less for a message of a batch.
   */
  textsInto(into: Message<string>[], i: number, most: number): number {
    if (this.#isShort()) return this.#asciiInto(into, i, Math.min(this.count, i + most - into.length));
    if (i >= this.#end || i < this.#first) this.#look(i);
    if (this.#decoded === "not yet") this.#decode();
    if (this.#decoded === "apart") return i;
    // Of one that is alone the text may be shorter.
    if (this.#decoded === "whole" && this.#text.length < this.to[this.#end - 1]! - this.#start) return i;
    if (this.#decoded === "ascii") return this.#asciiInto(into, i, Math.min(this.#end, i + most - into.length));
    const end = Math.min(this.#endOfSame(i), i + most - into.length);
    const [topics, starts, ends, start, text] = [this.topics, this.from, this.to, this.#start, this.#text];
    for (let at = into.length; i < end; i++) {
      const { kind, channel, pattern } = topics[i]!;
      const payload = text.substring(starts[i]! - start, ends[i]! - start);
      into[at++] = new PlainMessage(kind, channel, pattern, payload, undefined);
    }
    return end;
  }

  /** The same where each is decoded for itself, as far as `end`. */
  #asciiInto(into: Message<string>[], i: number, end: number): number {
    const [topics, starts, ends, bytes] = [this.topics, this.from, this.to, this.#bytes];
    const { decode } = this.#decoder.ascii!;
    const { route } = topics[i]!;
    for (let at = into.length; i < end; i++) {
      const topic = topics[i]!;
      if (topic.route !== route) break;
      const payload = decode(bytes, starts[i]!, ends[i]!);
      into[at++] = new PlainMessage(topic.kind, topic.channel, topic.pattern, payload, undefined);
    }
    return i;
  }

  /** The first message of the group behind `i` that is for somebody else. */
  #endOfSame(i: number): number {
    const topics = this.topics;
    const { route } = topics[i]!;
    const last = this.#end;
    while (++i < last && topics[i]!.route === route);
    return i;
  }

  /** The payload of message `i`, to be looked at now: its bytes are written to again. */
  view(i: number): Uint8Array {
    return this.#bytes.subarray(this.from[i]!, this.to[i]!);
  }

  /** The payload of message `i`, to be kept. It may share a buffer with others, as long as {@linkcode SPAN_BYTES} says. */
  bytes(i: number): Uint8Array {
    if (i >= this.#end || i < this.#first) this.#look(i);
    const start = this.#start;
    if (this.#end - this.#first > 1) {
      this.#copy ??= this.#bytes.slice(start, this.to[this.#end - 1]);
      return this.#copy.subarray(this.from[i]! - start, this.to[i]! - start);
    }
    return this.#isShareable(i) ? this.view(i) : this.#bytes.slice(start, this.to[i]);
  }

  /** May the payload be kept where it is? Its memory stays as it is, and is not much more. */
  #isShareable(i: number): boolean {
    const most = Math.max(SPAN_BYTES, SPAN_PAYLOADS * this.size(i));
    return this.#memory === "kept" && this.#bytes.buffer.byteLength <= most;
  }

  /** Finds the group that begins with message `i`. */
  #look(i: number): void {
    const start = this.from[i]!;
    let most = LONGEST_SPAN_BYTES;
    let end = i;
    do {
      const to = this.to[end]!;
      const span = Math.max(SPAN_BYTES, SPAN_PAYLOADS * (to - this.from[end]!));
      if (span < most) most = span;
      if (end > i && to - start > most) break;
    } while (++end < this.count);
    this.#first = i;
    this.#end = end;
    this.#start = start;
    this.#decoded = "not yet";
    this.#copy = undefined;
  }

  /** Is each text of the run decoded for itself, without a group? */
  #isShort(): boolean {
    if (this.#texts === "not looked at") this.#texts = this.#areShort() ? "short" : "any";
    return this.#texts === "short";
  }

  #areShort(): boolean {
    const { ascii } = this.#decoder;
    // While groups are not ASCII there is no use in looking at all of them at once.
    if (ascii === undefined || this.count === 1 || this.#apart > 0) return false;
    for (let i = 0; i < this.count; i++) if (this.size(i) > ascii.longestAlone) return false;
    return ascii.isAt(this.#bytes, this.from[0]!, this.to[this.count - 1]!);
  }

  #decode(): void {
    const alone = this.#end - this.#first === 1;
    this.#decoded = "apart";
    if (!alone && this.#apart > 0) {
      this.#apart--;
      return;
    }
    const [from, to] = [this.#start, this.to[this.#end - 1]!];
    const { part, ascii } = this.#decoder;
    if (ascii === undefined || (alone && to - from <= SHORT_ALONE)) {
      this.#text = part(this.#bytes, from, to);
      // No sequence of UTF-8 becomes more characters than it has bytes. So where the lengths agree, each byte became one.
      if (alone || this.#text.length === to - from) this.#decoded = "whole";
    } else if (ascii.isAt(this.#bytes, from, to)) {
      this.#decoded = this.size(this.#first) <= ascii.longestAlone ? "ascii" : "whole";
      if (this.#decoded === "whole") this.#text = ascii.decode(this.#bytes, from, to);
    }
    if (alone) return;
    if (this.#decoded !== "apart") this.#nextApart = 1;
    else {
      this.#apart = this.#nextApart;
      this.#nextApart = Math.min(2 * this.#nextApart, MOST_APART);
    }
  }
}
