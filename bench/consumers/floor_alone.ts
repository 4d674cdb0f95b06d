/**
 * The floor of `for await` where messages come one by one: the least that any client has to do for each. It knows the one
 * channel and how long its payloads are, reads the socket in the fastest way that the runtime has, and has no parser, no
 * queue, no limits and no gaps. What it does is what `PubSub` promises for every message:
 *
 * - what has come whole is told from what has not, and what it is from anything else;
 * - the payload is text, in a message that tells its kind, channel, pattern and gap;
 * - each call of `next()` has a promise of its own;
 * - when the server was heard last is known: silence, `gap.since` and `lastMessageAt` count from there.
 *
 * @module
 */

import net from "node:net";
import type { Message } from "../../mod.ts";
import { decoder } from "../../src/codec.ts";
import { encodeCommand } from "../../src/resp/writer.ts";

const HOST = "127.0.0.1";
/** As much as any runtime brings at once, and room before it for the beginning of a message that the last one has cut off. */
const ROOM = 1024 * 1024;
const SEAM = 1024;
const WORD = 8;
const CR_LF = 0x0a0d;

declare const Bun: {
  connect(options: {
    hostname: string;
    port: number;
    socket: {
      open(socket: { write(bytes: Uint8Array): number }): void;
      data(socket: unknown, bytes: Uint8Array): void;
    };
  }): Promise<unknown>;
};

/** Subscribes; resolves with the messages when that is acknowledged. */
export async function subscribeAlone(port: number, channel: string, payloadBytes: number): Promise<Alone> {
  const subscribe = encodeCommand(["SUBSCRIBE", channel]);
  const messages = new Alone(channel, payloadBytes);
  const { room } = messages;
  if ("Deno" in globalThis) {
    const conn = await Deno.connect({ hostname: HOST, port });
    conn.setNoDelay(true);
    await conn.write(subscribe);
    messages.read = () => conn.read(room);
    while (!messages.acknowledges(await conn.read(room) ?? 0));
    return messages;
  }
  await new Promise<void>((resolve, reject) => {
    const filled = (count: number) => {
      if (messages.isOpen) messages.filled(count);
      else if (messages.acknowledges(count)) resolve();
      return true;
    };
    if ("Bun" in globalThis) {
      const data = (_: unknown, bytes: Uint8Array) => {
        room.set(bytes);
        filled(bytes.length);
      };
      Bun.connect({ hostname: HOST, port, socket: { open: (socket) => void socket.write(subscribe), data } })
        .catch(reject);
    } else {
      const socket = net.connect({ host: HOST, port, noDelay: true, onread: { buffer: room, callback: filled } });
      socket.once("error", reject).once("connect", () => socket.write(subscribe));
    }
  });
  return messages;
}

/** Messages, one promise each. Whoever takes them must take all that one read has brought before the next one. */
class Alone implements AsyncIterableIterator<Message> {
  /** When the server was heard last. */
  heard = 0;
  isOpen = false;
  /** Where the next bytes go. */
  readonly room: Uint8Array<ArrayBuffer>;
  /** Where it has to be asked for them. */
  read: (() => Promise<number | null>) | undefined;
  readonly #channel: string;
  readonly #bytes = new Uint8Array(SEAM + ROOM);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #head: readonly number[];
  readonly #headBytes: number;
  readonly #payloadBytes: number;
  #at = SEAM;
  #end = SEAM;
  #give!: (result: IteratorResult<Message>) => void;

  constructor(channel: string, payloadBytes: number) {
    this.#channel = channel;
    this.#payloadBytes = payloadBytes;
    this.room = this.#bytes.subarray(SEAM);
    const head = `*3\r\n$7\r\nmessage\r\n$${channel.length}\r\n${channel}\r\n$${payloadBytes}\r\n`;
    const view = new DataView(new TextEncoder().encode(head).buffer);
    this.#headBytes = head.length;
    const words = Math.ceil(head.length / WORD);
    this.#head = Array.from({ length: words }, (_, i) => view.getFloat64(Math.min(i * WORD, head.length - WORD)));
  }

  /** Is the subscription acknowledged, now that so many bytes have come? */
  acknowledges(count: number): boolean {
    return this.isOpen = new TextDecoder().decode(this.room.subarray(0, count)).endsWith(":1\r\n");
  }

  /** So many bytes have come, for whoever waits. */
  filled(count: number): void {
    const message = this.#came(count);
    if (message !== undefined) this.#give({ value: message, done: false });
  }

  next(): Promise<IteratorResult<Message>> {
    const message = this.#take();
    if (message !== undefined) return Promise.resolve({ value: message, done: false });
    return this.read === undefined ? new Promise(this.#wait) : this.read().then(this.#taken);
  }

  #wait = (give: (result: IteratorResult<Message>) => void): void => void (this.#give = give);

  #taken = (count: number | null): IteratorResult<Message> | Promise<IteratorResult<Message>> => {
    const message = this.#came(count ?? 0);
    return message === undefined ? this.read!().then(this.#taken) : { value: message, done: false };
  };

  #came(count: number): Message | undefined {
    this.heard = performance.now();
    this.#end = SEAM + count;
    return this.#take();
  }

  #take(): Message | undefined {
    const at = this.#at;
    const from = at + this.#headBytes;
    const to = from + this.#payloadBytes;
    if (to + 2 > this.#end) return this.#keepRest();
    const [head, view] = [this.#head, this.#view];
    let word = at;
    for (let i = 0; i < head.length - 1; i++, word += WORD) if (view.getFloat64(word) !== head[i]) throw unknown();
    if (view.getFloat64(from - WORD) !== head[head.length - 1]) throw unknown();
    if (view.getInt16(to, true) !== CR_LF) throw unknown();
    this.#at = to + 2;
    const payload = decoder.part(this.#bytes, from, to);
    return { kind: "channel", channel: this.#channel, pattern: undefined, payload, gap: undefined };
  }

  /** Moves what has not come whole in front of what comes next. */
  #keepRest(): undefined {
    const left = this.#end - this.#at;
    if (left > 0) this.#bytes.copyWithin(SEAM - left, this.#at, this.#end);
    this.#at = this.#end = SEAM - left;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function unknown(): Error {
  return new Error("The floor knows only one channel");
}
