/**
 * The least that any client has to do: an object for each name in a map, a command for each 256 of them, as they are in
 * the order in which they were asked for, and each acknowledgement compared with the name that is due. It knows nothing but
 * short names in ASCII and RESP2, and throws at anything else. No layers, no refusals, no events, no timers.
 */

import { FIRST, run } from "./subscribe_run.ts";
import { type Ear, open } from "./subscribe_socket.ts";

/** As Earshot's commands. */
const MOST_NAMES = 256;
const CR = 0x0d;
const LF = 0x0a;
const DOLLAR = 0x24;
const ZERO = 0x30;
/** About a command and a name, in bytes: what comes beside the name. */
const BESIDE_BYTES = 16;
/** There stands how long a label is: of all that comes none is as long as that which is due. */
const LABEL_AT = "*3\r\n$".length;
/** What the shortest acknowledgement has behind its label, beside the name: `$1`, `:1`, and three line ends. */
const SHORTEST_END = 10;
/** A name takes at most two digits. */
const LONGEST_NAME = 99;

type Verb = "SUBSCRIBE" | "UNSUBSCRIBE";

/** What is kept for a name. */
class Entry {
  readonly name: string;
  state: Verb = "UNSUBSCRIBE";

  constructor(name: string) {
    this.name = name;
  }
}

/** Gives where it ends. */
function write(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
  return at;
}

function commands(verb: Verb, entries: readonly Entry[]): Uint8Array {
  let size = BESIDE_BYTES;
  for (const { name } of entries) size += name.length + BESIDE_BYTES;
  const bytes = new Uint8Array(size + 2 * BESIDE_BYTES * Math.ceil(entries.length / MOST_NAMES));
  let at = 0;
  for (let from = 0; from < entries.length; from += MOST_NAMES) {
    const to = Math.min(entries.length, from + MOST_NAMES);
    at = write(bytes, at, `*${to - from + 1}\r\n$${verb.length}\r\n${verb}\r\n`);
    for (let i = from; i < to; i++) {
      const { name } = entries[i]!;
      const { length } = name;
      bytes[at++] = DOLLAR;
      if (length > 9) bytes[at++] = ZERO + Math.floor(length / 10);
      bytes[at++] = ZERO + length % 10;
      bytes[at++] = CR;
      bytes[at++] = LF;
      for (let i = 0; i < length; i++) bytes[at++] = name.charCodeAt(i);
      bytes[at++] = CR;
      bytes[at++] = LF;
    }
  }
  return bytes.subarray(0, at);
}

/** The names that are due, in order. */
class Due implements Ear {
  #verb: Verb = "SUBSCRIBE";
  #head = new Uint8Array(0);
  #entries: readonly Entry[] = [];
  #next = 0;
  #rest = new Uint8Array(0);
  #done: () => void = () => {};
  onEnd = (): void => {};

  /** Resolves when all of them are acknowledged. */
  await(verb: Verb, entries: readonly Entry[]): Promise<void> {
    const label = verb.toLowerCase();
    this.#verb = verb;
    this.#head = new TextEncoder().encode(`*3\r\n$${label.length}\r\n${label}\r\n`);
    this.#entries = entries;
    this.#next = 0;
    return new Promise((resolve) => this.#done = resolve);
  }

  /** What was left over is of no use on another connection. */
  forget(): void {
    this.#rest = new Uint8Array(0);
  }

  take(chunk: Uint8Array): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    this.#rest = bytes.slice(this.#read(bytes));
    if (this.#next === this.#entries.length) this.#done();
  }

  /** Gives where the last acknowledgement ends. */
  #read(bytes: Uint8Array): number {
    const head = this.#head;
    const verb = this.#verb;
    const entries = this.#entries;
    let next = this.#next;
    let start = 0;
    for (; next < entries.length; next++) {
      const entry = entries[next]!;
      const { name } = entry;
      const { length } = name;
      let at = start + head.length;
      if (at + length + SHORTEST_END > bytes.length) break;
      if (bytes[start] !== head[0] || bytes[start + LABEL_AT] !== head[LABEL_AT]) throw new Error("Not acknowledged");
      at += length > 9 ? 5 : 4;
      for (let i = 0; i < length; i++) if (bytes[at++] !== name.charCodeAt(i)) throw new Error("Another name");
      at += 2;
      while (at < bytes.length && bytes[at] !== LF) at++;
      if (at === bytes.length) break;
      start = at + 1;
      entry.state = verb;
    }
    this.#next = next;
    return start;
  }
}

await run(async () => {
  const entries = new Map<string, Entry>();
  const due = new Due();
  let socket = await open(due);
  const send = async (verb: Verb, some: readonly Entry[]) => {
    const answered = due.await(verb, some);
    socket(commands(verb, some));
    await answered;
  };
  const subscribe = (names: readonly string[]) => {
    const some: Entry[] = [];
    for (const name of names) {
      if (name.length > LONGEST_NAME) throw new Error(`Too long a name: ${name}`);
      let entry = entries.get(name);
      if (entry === undefined) entries.set(name, entry = new Entry(name));
      some.push(entry);
    }
    return send("SUBSCRIBE", some);
  };
  await subscribe([FIRST]);
  return {
    subscribe,
    unsubscribe: async (names) => {
      await send("UNSUBSCRIBE", names.map((name) => entries.get(name)!));
      for (const name of names) entries.delete(name);
    },
    restored: async (cut) => {
      const ended = new Promise<void>((resolve) => due.onEnd = resolve);
      await cut();
      await ended;
      due.forget();
      socket = await open(due);
      await send("SUBSCRIBE", [...entries.values()]);
      return 0;
    },
  };
});
