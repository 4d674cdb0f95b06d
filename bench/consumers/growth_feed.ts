/**
 * A connection whose bytes come out of memory: a broker in this process answers until every name is there, then come the
 * bytes that are to be read, in pieces of a given size. So nothing but the client is measured, and the pieces are what
 * they are said to be, which no socket promises.
 *
 * @module
 */

import type { Dial } from "../../mod.ts";
import { TestBroker } from "../../src/testing/mod.ts";

/** After so many bytes the reader waits for a turn of the event loop, so that consumers have theirs. */
const TURN_BYTES = 64 * 1024;

/** The connection, and what it feeds. */
export class Feed implements AsyncDisposable {
  readonly dial: Dial;
  readonly #broker = new TestBroker();
  readonly #started: Promise<void>;
  #start!: () => void;
  #pieces: Iterator<Uint8Array> | undefined;
  /** Bytes since the last turn. */
  #bytes = 0;

  constructor() {
    this.#started = new Promise((resolve) => this.#start = resolve);
    this.dial = async (endpoint, options) => {
      const answers = await this.#broker.dial(endpoint, options);
      let answer: Promise<Uint8Array | undefined> | undefined;
      const read = async () => {
        answer ??= answers.read();
        if (this.#pieces === undefined) await Promise.race([answer, this.#started]);
        const piece = await this.#next();
        if (piece !== undefined) return piece;
        const bytes = await answer;
        answer = undefined;
        return bytes;
      };
      return { read, write: (bytes) => answers.write(bytes), close: () => answers.close() };
    };
  }

  /** From now on these are what is read; after them come the answers of the broker again. */
  feed(pieces: Iterable<Uint8Array>): void {
    this.#pieces = pieces[Symbol.iterator]();
    this.#start();
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#pieces === undefined) return undefined;
    if (this.#bytes >= TURN_BYTES) {
      this.#bytes = 0;
      await new Promise((resolve) => void setImmediate(resolve));
    }
    const { value, done } = this.#pieces.next();
    if (done) return undefined;
    this.#bytes += value.length;
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker.close();
  }
}

/** `bytes` in pieces of `size`; the last one may be shorter. */
export function* pieces(bytes: Uint8Array, size: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** `bytes`, so many times. */
export function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(bytes.length * times);
  all.set(bytes);
  for (let at = bytes.length; at < all.length; at *= 2) all.copyWithin(at, 0, Math.min(at, all.length - at));
  return all;
}
