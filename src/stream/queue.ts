/**
 * A queue that a stream reads from: what is put in is taken out in order, then it ends or fails.
 *
 * @module
 */

import { Ring } from "../ring.ts";
import type { Source } from "./stream.ts";

/** The queue. It has no limit of its own: whoever puts in looks at `size` first. */
export class Queue<T> implements Source<T> {
  #ring = new Ring<T>();
  #state: "open" | "ended" | "failed" = "open";
  #error: unknown;
  #awaited: { readonly woken: Promise<void>; readonly wake: () => void } | undefined;
  #emptied: { readonly drained: Promise<void>; readonly tell: () => void } | undefined;
  #onCancel: (reason: unknown) => Promise<void>;
  onEnd: (() => void) | undefined;

  /** `onCancel` is called when the consumer goes. */
  constructor(onCancel: (reason: unknown) => Promise<void>) {
    this.#onCancel = onCancel;
  }

  get size(): number {
    return this.#ring.size;
  }

  get state(): "open" | "ended" | "failed" {
    return this.#state;
  }

  get error(): unknown {
    return this.#error;
  }

  /** The sum of the weights of what waits. */
  get weight(): number {
    return this.#ring.weight;
  }

  take(): T | undefined {
    const item = this.#ring.shift();
    if (this.#emptied !== undefined && this.#ring.size === 0) this.#tellEmptied();
    return item;
  }

  takeMany(most: number): T[] {
    const items = this.#ring.shiftMany(Math.min(most, this.#ring.size));
    if (this.#emptied !== undefined && this.#ring.size === 0) this.#tellEmptied();
    return items;
  }

  /** Adds an item; after the end it is dropped. */
  put(item: T, weight = 0): void {
    if (this.#state !== "open") return;
    this.#ring.push(item, weight);
    if (this.#awaited !== undefined) this.wake();
  }

  /** The item at `index`, counted from the oldest; undefined where there is none. */
  at(index: number): T | undefined {
    return this.#ring.at(index);
  }

  /** The weight of the item at `index`, which there must be. */
  weightAt(index: number): number {
    return this.#ring.weightAt(index);
  }

  /** Puts an item in the place of the one at `index`, which there must be. */
  replaceAt(index: number, item: T, weight: number): void {
    this.#ring.replaceAt(index, item, weight);
  }

  /** No more will come; what waits is still delivered. */
  end(): void {
    this.#finish("ended", undefined);
  }

  /** No more will come; what waits is still delivered, then the consumer gets `error`. */
  fail(error: unknown): void {
    this.#finish("failed", error);
  }

  /** Drops everything that waits. */
  clear(): void {
    this.#ring.clear();
    this.#tellEmptied();
    // The end that the consumer was to reach after them is here.
    if (this.#state !== "open") this.onEnd?.();
  }

  /** Resolves when nothing waits any more. */
  drained(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    if (this.#emptied === undefined) {
      let tell = () => {};
      const drained = new Promise<void>((resolve) => tell = resolve);
      this.#emptied = { drained, tell };
    }
    return this.#emptied.drained;
  }

  wait(): Promise<void> {
    if (this.#state !== "open" || this.size > 0) return Promise.resolve();
    if (this.#awaited === undefined) {
      let wake = () => {};
      const woken = new Promise<void>((resolve) => wake = resolve);
      this.#awaited = { woken, wake };
    }
    return this.#awaited.woken;
  }

  async cancel(reason: unknown): Promise<void> {
    this.clear();
    this.end();
    await this.#onCancel(reason);
  }

  #finish(state: "ended" | "failed", error: unknown): void {
    if (this.#state !== "open") return;
    this.#state = state;
    this.#error = error;
    this.wake();
    this.onEnd?.();
  }

  #tellEmptied(): void {
    this.#emptied?.tell();
    this.#emptied = undefined;
  }

  /** Whoever waits looks again. */
  wake(): void {
    this.#awaited?.wake();
    this.#awaited = undefined;
  }
}
