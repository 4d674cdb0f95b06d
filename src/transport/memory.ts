/**
 * Two transports joined in memory: what one writes the other reads. No timer, no I/O.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { alreadyReading, type Transport } from "./transport.ts";

/** Options of {@linkcode memoryPair}. */
export interface MemoryPairOptions {
  /**
   * How many unread bytes each direction takes before a write waits for the reader. A write that is larger by itself waits
   * until it is read.
   * @default {1048576}
   */
  capacity?: number;
}

/**
 * Makes a joined pair. Each write is copied and arrives as one chunk of its own; into a room that is smaller, as several.
 * When one side closes, the other reads what had been taken before, then `undefined`, and its writes reject.
 *
 * @throws {RangeError} when the capacity is not a positive integer
 */
export function memoryPair(options: MemoryPairOptions = {}): [Transport, Transport] {
  const { capacity = 1024 * 1024 } = options;
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    throw new RangeError(`The capacity of a memory pair must be a positive integer: ${capacity}`);
  }
  const there = new Pipe(capacity);
  const back = new Pipe(capacity);
  return [new MemoryTransport(back, there), new MemoryTransport(there, back)];
}

class MemoryTransport implements Transport {
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;

  constructor(incoming: Pipe, outgoing: Pipe) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  read(room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
    return this.#incoming.read(room);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#outgoing.write(bytes);
  }

  close(): void {
    this.#incoming.closeReader();
    this.#outgoing.closeWriter();
  }
}

interface PendingRead {
  readonly room: Uint8Array<ArrayBuffer> | undefined;
  readonly resolve: (chunk: Uint8Array | undefined) => void;
}

interface PendingWrite {
  readonly chunk: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: ConnectionError) => void;
}

/** One direction. Whichever side closes first decides the state. */
class Pipe {
  readonly #capacity: number;
  #state: "open" | "ended by the writer" | "closed by the reader" = "open";
  /** Chunks whose write has resolved, and their bytes. */
  readonly #taken = new Queue<Uint8Array>();
  #size = 0;
  /** Writes that do not fit yet. */
  readonly #waiting = new Queue<PendingWrite>();
  #reader: PendingRead | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  read(room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
    if (this.#reader !== undefined) return Promise.reject(alreadyReading());
    const chunk = this.#shift(room);
    if (chunk !== undefined || this.#state !== "open") return Promise.resolve(chunk);
    return new Promise((resolve) => {
      this.#reader = { room, resolve };
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#state !== "open") return Promise.reject(this.#writeError());
    if (bytes.byteLength === 0) return Promise.resolve();
    const chunk = new Uint8Array(bytes);
    const written = new Promise<void>((resolve, reject) => this.#waiting.push({ chunk, resolve, reject }));
    this.#admitWhatFits();
    // A reader that waits has found nothing, so this is for it.
    if (this.#reader !== undefined) this.#wakeReader(this.#shift(this.#reader.room));
    return written;
  }

  closeReader(): void {
    if (this.#state === "open") this.#end("closed by the reader");
    while (this.#taken.shift() !== undefined);
    this.#size = 0;
  }

  closeWriter(): void {
    if (this.#state === "open") this.#end("ended by the writer");
  }

  #end(state: "ended by the writer" | "closed by the reader"): void {
    this.#state = state;
    for (let write = this.#waiting.shift(); write !== undefined; write = this.#waiting.shift()) {
      write.reject(this.#writeError());
    }
    this.#wakeReader(undefined);
  }

  #shift(room: Uint8Array<ArrayBuffer> | undefined): Uint8Array | undefined {
    // A write above the whole capacity never fits: it goes when its turn has come.
    if (this.#taken.peek() === undefined) this.#admit();
    const chunk = this.#taken.shift();
    if (chunk === undefined) return undefined;
    const part = room === undefined ? chunk : fill(room, chunk);
    if (part.byteLength < chunk.byteLength) this.#taken.unshift(chunk.subarray(part.byteLength));
    this.#size -= part.byteLength;
    this.#admitWhatFits();
    return part;
  }

  #admitWhatFits(): void {
    for (let next = this.#waiting.peek(); next !== undefined && this.#fits(next.chunk); next = this.#waiting.peek()) {
      this.#admit();
    }
  }

  /** Takes the write that has waited the longest. */
  #admit(): void {
    const write = this.#waiting.shift();
    if (write === undefined) return;
    this.#take(write.chunk);
    write.resolve();
  }

  #fits(chunk: Uint8Array): boolean {
    return this.#size + chunk.byteLength <= this.#capacity;
  }

  #take(chunk: Uint8Array): void {
    this.#taken.push(chunk);
    this.#size += chunk.byteLength;
  }

  #wakeReader(chunk: Uint8Array | undefined): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve(chunk);
  }

  #writeError(): ConnectionError {
    return new ConnectionError(
      this.#state === "ended by the writer"
        ? "Cannot write to the memory pair: the connection was closed on this side"
        : "Cannot write to the memory pair: the peer closed the connection",
    );
  }
}

/** Copies as much of the chunk as the room takes, and gives that part of the room. */
function fill(room: Uint8Array<ArrayBuffer>, chunk: Uint8Array): Uint8Array {
  const part = chunk.subarray(0, room.byteLength);
  room.set(part);
  return room.subarray(0, part.byteLength);
}

/** First in, first out, in constant time: `Array.prototype.shift` moves every element of a long array. */
class Queue<T> {
  #front: T[] = [];
  #back: T[] = [];

  push(value: T): void {
    this.#back.push(value);
  }

  /** Puts back what came out last. */
  unshift(value: T): void {
    this.#front.push(value);
  }

  peek(): T | undefined {
    this.#turn();
    return this.#front.at(-1);
  }

  shift(): T | undefined {
    this.#turn();
    return this.#front.pop();
  }

  #turn(): void {
    if (this.#front.length > 0) return;
    this.#front = this.#back.reverse();
    this.#back = [];
  }
}
