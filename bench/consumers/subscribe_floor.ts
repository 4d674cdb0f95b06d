/**
 * The least that any client has to do: an object for each name in a map, a command for each 512 of them, as they are in
 * the order in which they were asked for, and each acknowledgement compared with the name that is due, by a pattern. It
 * knows nothing but short names in ASCII and RESP2, and throws at anything else. No layers, no refusals, no events, no timers.
 */

import { FIRST, run } from "./subscribe_run.ts";
import { type Ear, open } from "./subscribe_socket.ts";

/** As Earshot's commands. */
const MOST_NAMES = 512;
const CR = 0x0d;
const LF = 0x0a;
const DOLLAR = 0x24;
const ZERO = 0x30;
/** About a command and a name, in bytes: what comes beside the name. */
const BESIDE_BYTES = 16;
/** A name takes at most two digits. */
const LONGEST_NAME = 99;

type Verb = "SUBSCRIBE" | "UNSUBSCRIBE";

/** What is kept for a name: what it is, whether it is wanted, where it stands, who waits for it, and who takes its messages. */
class Entry {
  readonly kind: "channel" = "channel";
  readonly name: string;
  wish: "wanted" | "gone" = "wanted";
  state: Verb = "UNSUBSCRIBE";
  waiting: object | undefined;
  readonly holder: object;

  constructor(name: string, holder: object) {
    this.name = name;
    this.waiting = holder;
    this.holder = holder;
  }
}

const decoder = new TextDecoder();

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
  #pattern = /-/y;
  #entries: readonly Entry[] = [];
  #next = 0;
  #rest = new Uint8Array(0);
  #done: () => void = () => {};
  onEnd = (): void => {};

  /** Resolves when all of them are acknowledged. */
  await(verb: Verb, entries: readonly Entry[]): Promise<void> {
    const label = verb.toLowerCase();
    this.#verb = verb;
    this.#pattern = new RegExp(
      `\\*3\\r\\n\\$${label.length}\\r\\n${label}\\r\\n\\$\\d+\\r\\n([^\\r]*)\\r\\n:\\d+\\r\\n`,
      "y",
    );
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
    const text = decoder.decode(bytes);
    const pattern = this.#pattern;
    const verb = this.#verb;
    const entries = this.#entries;
    let next = this.#next;
    let start = 0;
    pattern.lastIndex = 0;
    for (; next < entries.length; next++) {
      const entry = entries[next]!;
      const found = pattern.exec(text);
      if (found === null) break;
      if (found[1] !== entry.name) throw new Error("Another name");
      start = pattern.lastIndex;
      entry.state = verb;
      entry.waiting = undefined;
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
      if (entry === undefined) entries.set(name, entry = new Entry(name, due));
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
    },
  };
});
