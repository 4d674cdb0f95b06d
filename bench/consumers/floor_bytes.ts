/**
 * The floor of large payloads that may be kept: each in memory that is written once, by the read itself where the runtime
 * lets a program choose it, and a promise for each. Like `floor.ts`, it knows nothing but what the firehose sends.
 */

import { open } from "./floor_socket.ts";
import { addBytes, channels } from "./tally.ts";

const name = channels[0]!;
const HEAD = new TextEncoder().encode(`*3\r\n$7\r\nmessage\r\n$${name.length}\r\n${name}\r\n$`);
const LONGEST_LENGTH = "536870912\r\n".length;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;

/** The message that is on its way; at first only as much as tells how long it is. */
let frame = new Uint8Array(HEAD.length + LONGEST_LENGTH);
let have = 0;
/** The one before it, whole. */
let whole: Uint8Array | undefined;
/** Where its payload is, once that is known. */
let from = 0;
let to = 0;
/** What follows in a chunk that the runtime has brought. */
let chunk: Uint8Array<ArrayBuffer> = new Uint8Array(0);

const read = await open({
  room: () => frame.subarray(have),
  filled,
  brought: (bytes) => void (chunk = bytes),
});

function filled(count: number): void {
  have += count;
  if (have < frame.length) return;
  if (to === 0) learn();
  else {
    whole = frame;
    frame = new Uint8Array(whole.length);
    have = 0;
  }
}

/** The next payload, where it is whole. */
function payload(): Uint8Array | undefined {
  if (chunk.length > 0 && whole === undefined) {
    if (have === 0 && to > 0 && chunk.length >= frame.length) {
      whole = chunk.subarray(0, frame.length);
      chunk = chunk.subarray(frame.length);
    } else {
      const part = chunk.subarray(0, frame.length - have);
      frame.set(part, have);
      chunk = chunk.subarray(part.length);
      filled(part.length);
    }
  }
  if (whole === undefined) return undefined;
  const taken = payloadOf(whole);
  whole = undefined;
  return taken;
}

function payloadOf(whole: Uint8Array): Uint8Array {
  if (whole[from - 1] !== LF || whole[to] !== CR || !isHead(whole)) {
    throw new Error("The floor knows only the firehose");
  }
  return whole.subarray(from, to);
}

function isHead(whole: Uint8Array): boolean {
  for (let at = 0; at < HEAD.length; at++) if (whole[at] !== HEAD[at]) return false;
  return true;
}

/** All are as long as the first. */
function learn(): void {
  let length = 0;
  for (from = HEAD.length; frame[from] !== CR; from++) length = 10 * length + frame[from]! - ZERO;
  from += 2;
  to = from + length;
  const start = frame;
  frame = new Uint8Array(to + 2);
  frame.set(start);
}

class Least implements AsyncIterableIterator<Uint8Array> {
  next(): Promise<IteratorResult<Uint8Array>> {
    const value = payload();
    if (value !== undefined) return Promise.resolve({ value, done: false });
    return (chunk.length > 0 ? Promise.resolve() : read()).then(() => this.next());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

await consume();

async function consume(): Promise<void> {
  for await (const bytes of new Least()) addBytes(name, bytes);
}
