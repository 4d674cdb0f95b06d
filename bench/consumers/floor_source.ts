/**
 * The least that any client has to do which hands out text: reads the socket in the fastest way that the runtime has, decodes
 * the payloads in groups as long as those of `src/run/run.ts`, and makes an object of each. It knows nothing but what the
 * firehose sends: there is no queue, and nothing that nobody takes. What it does for each message is what `PubSub` promises:
 *
 * - it is of any channel that was subscribed to, whichever that is: the one is guessed that came after the last one before,
 *   and its whole header compared; where that fails, it is looked up;
 * - it tells its kind, channel and pattern, which one stream may hold of every sort, and its gap;
 * - it is for the stream that holds its channel: others of the same connection have others.
 */

import type { Kind, Message } from "../../mod.ts";
import { decoder } from "../../src/codec.ts";
import { LONGEST_SPAN_BYTES, SPAN_BYTES, SPAN_PAYLOADS } from "../../src/run/run.ts";
import { open } from "./floor_socket.ts";
import { channels } from "./tally.ts";

const ROOM = 256 * 1024;
/** Room before each read for the beginning of a message that the last one has cut off, in bytes. */
const SEAM = 4096;
const MOST = 256;
const WORD = 8;
const CR = 0x0d;
/** With LF, as a word. */
const CR_LF = 0x0a0d;
const ZERO = 0x30;

const heads = channels.map((name) => `*3\r\n$7\r\nmessage\r\n$${name.length}\r\n${name}\r\n$`);
/** All names of the firehose are equally long. */
const HEAD = heads[0]!.length;
const WORDS = Math.ceil(HEAD / WORD);
const headWords = new Float64Array(WORDS * heads.length);
for (const [index, head] of heads.entries()) {
  const view = viewOf(new TextEncoder().encode(head));
  for (let i = 0; i < WORDS; i++) {
    headWords[index * WORDS + i] = view.getFloat64(Math.min(i * WORD, HEAD - WORD), true);
  }
}

/** What came after each channel the last time: nobody is told beforehand which one comes next, nor in which order. */
const followers = new Int32Array(heads.length);
const topicsByHead = new Map(heads.map((head, index) => [head, index]));
/** What a message says of where it comes from, and who wants it. */
interface Topic {
  readonly kind: Kind;
  readonly channel: string;
  readonly pattern: string | undefined;
  readonly holder: unknown;
}
const known: Topic[] = [];

/** `stream` hears all channels. */
export function hold(stream: unknown): void {
  known.push(...channels.map((channel): Topic => ({ kind: "channel", channel, pattern: undefined, holder: stream })));
}

/** Of the messages of the current group the channel, and where the payload stands. */
const topics = new Int32Array(MOST);
const starts = new Int32Array(MOST);
const ends = new Int32Array(MOST);

const own = new Uint8Array(SEAM + ROOM);
const ownView = viewOf(own);
const ownRoom = own.subarray(SEAM);

/** What was read, and is not taken yet: `bytes[at]` to `bytes[end - 1]`. */
let bytes = own;
let view = ownView;
let at = SEAM;
let end = SEAM;
/** What came last, by its place among the channels. */
let topic = 0;
/** The length of the payload before, and the words in which it and its CR LF were written. */
let length = 0;
let digits = 0;
let first = 0;
let last = 0;

/** Makes of the next messages for `stream` as many as one group has; how many that are. */
export function group(stream: unknown, into: Message[]): number {
  let count = 0;
  let least = 0;
  while (count < MOST && end - at >= HEAD + WORD) {
    let next = followers[topic]!;
    if (!isHead(next)) next = followers[topic] = find();
    if (known[next]!.holder !== stream) throw new Error("The floor knows only one stream");
    const line = at + HEAD;
    if (digits === 0 || view.getInt32(line, true) !== first || view.getInt32(line + digits - 4, true) !== last) {
      if (!readLength(line)) break;
    }
    const from = line + digits;
    const to = from + length;
    if (to + 2 > end) break;
    if (view.getInt16(to, true) !== CR_LF) throw new Error("The floor knows only the firehose");
    if (count === 0) least = from;
    else if (to - least > Math.min(LONGEST_SPAN_BYTES, Math.max(SPAN_BYTES, SPAN_PAYLOADS * length))) break;
    topics[count] = topic = next;
    starts[count] = from;
    ends[count++] = to;
    at = to + 2;
  }
  if (count > 0) decode(into, count);
  return count;
}

function isHead(topic: number): boolean {
  let row = topic * WORDS;
  const tail = at + HEAD - WORD;
  for (let word = at; word < tail; word += WORD) {
    if (view.getFloat64(word, true) !== headWords[row++]) return false;
  }
  return view.getFloat64(tail, true) === headWords[row];
}

function find(): number {
  const found = topicsByHead.get(new TextDecoder().decode(bytes.subarray(at, at + HEAD)));
  if (found === undefined) throw new Error("The floor knows only the firehose");
  return found;
}

function decode(into: Message[], count: number): void {
  const [from, to] = [starts[0]!, ends[count - 1]!];
  const { ascii } = decoder;
  if (ascii === undefined || ascii.isAt(bytes, from, to)) {
    if (ascii !== undefined && length <= ascii.longestAlone) {
      for (let i = 0; i < count; i++) {
        into[i] = message(known[topics[i]!]!, ascii.decode(bytes, starts[i]!, ends[i]!));
      }
      return;
    }
    const text = ascii === undefined ? decoder.part(bytes, from, to) : ascii.decode(bytes, from, to);
    if (text.length === to - from) {
      for (let i = 0; i < count; i++) {
        into[i] = message(known[topics[i]!]!, text.substring(starts[i]! - from, ends[i]! - from));
      }
      return;
    }
  }
  throw new Error("The floor knows only the firehose");
}

function message({ kind, channel, pattern }: Topic, payload: string): Message {
  return { kind, channel, pattern, payload, gap: undefined };
}

function readLength(line: number): boolean {
  length = 0;
  let byte = line;
  for (; byte < end && bytes[byte] !== CR; byte++) length = 10 * length + bytes[byte]! - ZERO;
  if (byte + 2 > end) return false;
  digits = byte + 2 - line;
  first = view.getInt32(line, true);
  last = view.getInt32(line + digits - 4, true);
  return true;
}

/** On Bun: the chunk whose front stands behind the seam of our own memory. */
let rest: Uint8Array<ArrayBuffer> | undefined;

const read = await open({
  room: () => ownRoom,
  filled(count) {
    end = SEAM + count;
  },
  brought(chunk) {
    if (at === SEAM) return show(chunk, 0);
    own.set(chunk.subarray(0, SEAM), SEAM);
    bytes = own;
    view = ownView;
    end = SEAM + Math.min(SEAM, chunk.length);
    if (chunk.length > SEAM) rest = chunk;
  },
});

/** Resolves when there is more; to be called when {@linkcode group} gives nothing. */
export function more(): Promise<void> {
  if (rest !== undefined) {
    show(rest, at - SEAM);
    rest = undefined;
    return Promise.resolve();
  }
  const left = bytes.subarray(at, end);
  at = SEAM - left.length;
  own.set(left, at);
  return read();
}

function show(chunk: Uint8Array<ArrayBuffer>, from: number): void {
  bytes = chunk;
  view = viewOf(chunk);
  at = from;
  end = chunk.length;
}

function viewOf(memory: Uint8Array): DataView {
  return new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
}
