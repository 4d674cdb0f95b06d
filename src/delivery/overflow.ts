/**
 * What happens when a message comes to a queue that is at its limit: one row a policy.
 *
 * A message is at the limit when it makes the queue full, or finds it full. `latest` looks at every message.
 *
 * @module
 */

import type { Clock } from "../connection/clock.ts";
import { OverflowError } from "../errors.ts";
import type { Message } from "../message.ts";

/** What happens when the queue of a stream is full. */
export type Overflow = "drop-oldest" | "drop-newest" | "latest" | "block" | "error";

/** A queue, as policies see it. */
export interface Limited<T> {
  /** Is there room for so many bytes? An empty queue has room for anything. */
  fits(bytes: number): boolean;
  /** Adds a message. */
  put(message: Message<T>, bytes: number): void;
  /** Drops the oldest messages until there is room. */
  makeRoom(bytes: number): void;
  /** Drops the message that came. */
  leaveOut(): void;
  /** Puts the message where the one of its channel waits; false where none does, or there is no room for it. */
  replace(message: Message<T>, bytes: number): boolean;
  /** What waits is still delivered, then the consumer gets `error`. */
  fail(error: unknown): void;
  /** How many messages wait, and how many bytes of payload. */
  readonly size: number;
  readonly weight: number;
}

/** Takes a message that comes to a queue at its limit. */
export type Policy = <T>(queue: Limited<T>, message: Message<T>, bytes: number) => void;

/** Every policy there is. */
export const POLICIES: Readonly<Record<Overflow, Policy>> = {
  "drop-oldest": (queue, message, bytes) => {
    queue.makeRoom(bytes);
    queue.put(message, bytes);
  },
  "drop-newest": (queue, message, bytes) => {
    if (queue.fits(bytes)) queue.put(message, bytes);
    else queue.leaveOut();
  },
  latest: (queue, message, bytes) => {
    if (queue.replace(message, bytes)) return;
    queue.makeRoom(bytes);
    queue.put(message, bytes);
  },
  block: (queue, message, bytes) => queue.put(message, bytes),
  error: (queue, message, bytes) => {
    if (queue.fits(bytes)) return queue.put(message, bytes);
    queue.leaveOut();
    queue.fail(new OverflowError(`The queue of the stream is full: ${queue.size} messages, ${queue.weight} bytes`));
  },
};

/** How often dropped messages are told as an event, in milliseconds. */
const EVENT_MS = 1_000;

/** Whom drops are told. */
interface DropsOwner {
  readonly clock: Clock;
  overflowed(dropped: number): void;
}

/** Tells what one stream drops: the first at once, those of the next second at its end. */
export class Drops {
  readonly #owner: DropsOwner;
  /** How many no event has told. */
  #untold = 0;
  /** Calls off the event that is due; there was one less than {@linkcode EVENT_MS} ago. */
  #endQuiet: (() => void) | undefined;

  /** Nothing is dropped yet. */
  constructor(owner: DropsOwner) {
    this.#owner = owner;
  }

  /** One more was dropped of a stream that goes on being told of as long as it is open. */
  count(stream: { readonly state: "open" | "ended" | "failed" }): void {
    this.#untold++;
    if (this.#endQuiet !== undefined) return;
    const tell = () => {
      const had = this.#untold > 0;
      this.tell();
      // Whoever heard of it may have ended the stream.
      if (had && stream.state === "open") this.#endQuiet = this.#owner.clock.after(EVENT_MS, tell);
    };
    tell();
  }

  /** Those that no event has told, told now. */
  tell(): void {
    this.#endQuiet?.();
    this.#endQuiet = undefined;
    const dropped = this.#untold;
    this.#untold = 0;
    if (dropped > 0) this.#owner.overflowed(dropped);
  }
}
