/**
 * Where the message of each channel waits in a queue that holds one of each.
 *
 * @module
 */

import type { Kind, Message } from "../message.ts";

/** Messages are numbered as they are put in; the number less that of the oldest is the place. */
export class Newest {
  /** By kind, pattern (empty where there is none) and channel: a key made of them would have to be made for every message. */
  #numbers: Readonly<Record<Kind, Map<string, Map<string, number>>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };
  /** The number of the oldest. */
  #oldest = 0;

  /** The place of the message that waits on the same channel by the same subscription. */
  find({ kind, channel, pattern = "" }: Message<unknown>): number | undefined {
    const number = this.#numbers[kind].get(pattern)?.get(channel);
    return number === undefined ? undefined : number - this.#oldest;
  }

  /** A message was put in, behind `before` others. */
  add({ kind, channel, pattern = "" }: Message<unknown>, before: number): void {
    let numbers = this.#numbers[kind].get(pattern);
    if (numbers === undefined) this.#numbers[kind].set(pattern, numbers = new Map());
    numbers.set(channel, this.#oldest + before);
  }

  /** The oldest message has left. */
  left({ kind, channel, pattern = "" }: Message<unknown>): void {
    this.#oldest++;
    this.#numbers[kind].get(pattern)?.delete(channel);
  }

  /** Nothing waits any more. */
  clear(): void {
    for (const numbers of Object.values(this.#numbers)) numbers.clear();
  }
}
