/**
 * A queue that a stream reads from: what is put in is taken out in order, then it ends or fails.
 *
 * @module
 */

import { Ring } from "../ring.ts";
import { yielded } from "./result.ts";
import type { Give, Source } from "./stream.ts";

/** The queue. It has no limit of its own: whoever puts in looks at `size` first. */
export class Queue<T> extends Ring<T> implements Source<T> {
  #state: "open" | "ended" | "failed" = "open";
  #error: unknown;
  /** Who waits for one item, and who is asked where something else comes. */
  #give: Give<T> | undefined;
  #look: (() => void) | undefined;
  #awaited: { readonly woken: Promise<void>; readonly wake: () => void } | undefined;
  #emptied: { readonly drained: Promise<void>; readonly tell: () => void } | undefined;
  #onCancel: (reason: unknown) => Promise<void>;
  onEnd: (() => void) | undefined;

  /** `onCancel` is called when the consumer goes. */
  constructor(onCancel: (reason: unknown) => Promise<void>) {
    super();
    this.#onCancel = onCancel;
  }

  get state(): "open" | "ended" | "failed" {
    return this.#state;
  }

  get error(): unknown {
    return this.#error;
  }

  take(): T | undefined {
    const item = this.shift();
    this.tookSome();
    return item;
  }

  takeMany(most: number): T[] {
    const items = this.shiftMany(Math.min(most, this.size));
    this.tookSome();
    return items;
  }

  /** Adds an item; after the end it is dropped. */
  put(item: T, weight = 0): void {
    if (this.#state !== "open") return;
    this.push(item, weight);
    this.cameSome();
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
  override clear(): void {
    super.clear();
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

  get isAwaited(): boolean {
    return this.#give !== undefined;
  }

  hand(give: Give<T> | undefined, look: () => void): Give<T> | undefined {
    const before = this.#give;
    this.#give = give;
    this.#look = look;
    return before;
  }

  /** Gives an item to whoever waits for just that; false where nobody does. */
  protected pass(item: T): boolean {
    const give = this.#give;
    if (give === undefined) return false;
    this.#give = undefined;
    give(yielded(item));
    return true;
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

  /** There is more to take: whoever waits looks again. */
  protected cameSome(): void {
    if (this.#give !== undefined || this.#awaited !== undefined) this.wake();
  }

  /** There is less: whoever waits until nothing is left is told when it is so. */
  protected tookSome(): void {
    if (this.#emptied !== undefined && this.size === 0) this.#tellEmptied();
  }

  #tellEmptied(): void {
    this.#emptied?.tell();
    this.#emptied = undefined;
  }

  /** Whoever waits looks again. */
  wake(): void {
    if (this.#give !== undefined) this.#look!();
    this.#awaited?.wake();
    this.#awaited = undefined;
  }
}
