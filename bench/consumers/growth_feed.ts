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

/** What is to be read. */
export interface Food {
  readonly bytes: Uint8Array;
  /** In what pieces it comes; smaller ones where the reader has less room, as of a socket. */
  readonly pieceBytes: number;
  /** Asked at the end: is it to come again? @default {() => false} */
  readonly again?: () => boolean;
}

/** The connection, and what it feeds. */
export class Feed implements AsyncDisposable {
  readonly dial: Dial;
  readonly #broker = new TestBroker();
  #food: Food | undefined;
  /** Told when there is food. */
  #hungry: { readonly fed: Promise<void>; readonly tell: () => void } | undefined;
  /** How much of it has come. */
  #at = 0;
  /** Bytes since the last turn. */
  #since = 0;

  constructor() {
    this.dial = async (endpoint, options) => {
      const answers = await this.#broker.dial(endpoint, options);
      let answer: Promise<{ readonly bytes: Uint8Array | undefined }> | undefined;
      const read = async (room?: Uint8Array<ArrayBuffer>) => {
        for (;;) {
          const piece = await this.#next(room);
          if (piece !== undefined) return piece;
          answer ??= answers.read().then((bytes) => ({ bytes }));
          const said = await Promise.race([answer, this.#fed()]);
          if (said !== undefined) {
            answer = undefined;
            return said.bytes;
          }
          // What was waited for comes in a turn of its own, as from a socket.
          await turn();
        }
      };
      return { read, write: (bytes) => answers.write(bytes), close: () => answers.close() };
    };
  }

  /** From now on this is what is read; after it come the answers of the broker again. */
  feed(food: Food): void {
    this.#food = food;
    this.#at = 0;
    this.#hungry?.tell();
    this.#hungry = undefined;
  }

  #fed(): Promise<void> {
    if (this.#food !== undefined) return Promise.resolve();
    if (this.#hungry === undefined) {
      let tell = () => {};
      const fed = new Promise<void>((resolve) => tell = resolve);
      this.#hungry = { fed, tell };
    }
    return this.#hungry.fed;
  }

  async #next(room: Uint8Array<ArrayBuffer> | undefined): Promise<Uint8Array | undefined> {
    if (this.#since >= TURN_BYTES) {
      this.#since = 0;
      await turn();
    }
    if (this.#food === undefined) return undefined;
    const { bytes, pieceBytes, again } = this.#food;
    if (this.#at === bytes.length) {
      this.#at = 0;
      if (again?.() !== true) this.#food = undefined;
      return await this.#next(room);
    }
    const piece = bytes.subarray(this.#at, this.#at + Math.min(pieceBytes, room?.length ?? pieceBytes));
    this.#at += piece.length;
    this.#since += piece.length;
    if (room === undefined) return piece.slice();
    room.set(piece);
    return room.subarray(0, piece.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker.close();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** `bytes`, so many times. */
export function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(bytes.length * times);
  all.set(bytes);
  for (let at = bytes.length; at < all.length; at *= 2) all.copyWithin(at, 0, Math.min(at, all.length - at));
  return all;
}
