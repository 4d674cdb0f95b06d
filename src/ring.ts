/**
 * A first-in first-out queue: a ring whose capacity is a power of two and grows as needed. Each item may have a weight.
 *
 * @module
 */

const FIRST_CAPACITY = 16;
/** A ring that is larger becomes half as large when so many times in a row a quarter of it would have done. */
const SMALL_CAPACITY = 1024;
const QUIET_TIMES = 16;

/** The queue. It has no limit of its own; whoever owns it sets one. */
export class Ring<T> {
  #slots: (T | undefined)[] = new Array(FIRST_CAPACITY);
  /** In the same places. */
  #weights: number[] = new Array(FIRST_CAPACITY).fill(0);
  #head = 0;
  #size = 0;
  #weight = 0;
  /** The most items since it was empty last. */
  #peak = 0;
  /** How often in a row it was emptied with a peak that needs much less than it has. */
  #quiet = 0;

  /** How many items wait. */
  get size(): number {
    return this.#size;
  }

  /** The sum of their weights. */
  get weight(): number {
    return this.#weight;
  }

  /** Adds an item at the end. */
  push(item: T, weight = 0): void {
    if (this.#size === this.#slots.length) this.#resize(this.#size * 2);
    const slot = (this.#head + this.#size++) & (this.#slots.length - 1);
    this.#slots[slot] = item;
    this.#weights[slot] = weight;
    this.#weight += weight;
  }

  /** Takes the oldest item; undefined where there is none. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const slot = this.#head;
    const item = this.#slots[slot];
    this.#slots[slot] = undefined;
    this.#weight -= this.#weights[slot]!;
    this.#head = (slot + 1) & (this.#slots.length - 1);
    if (this.#size > this.#peak) this.#peak = this.#size;
    if (--this.#size === 0) this.#emptied();
    return item;
  }

  /** Takes the `count` oldest items; there must be as many. */
  shiftMany(count: number): T[] {
    const items: T[] = new Array(count);
    const slots = this.#slots;
    const weights = this.#weights;
    const mask = slots.length - 1;
    let slot = this.#head;
    let weight = 0;
    for (let i = 0; i < count; i++) {
      items[i] = slots[slot]!;
      slots[slot] = undefined;
      weight += weights[slot]!;
      slot = (slot + 1) & mask;
    }
    this.#weight -= weight;
    this.#head = slot;
    if (this.#size > this.#peak) this.#peak = this.#size;
    this.#size -= count;
    if (this.#size === 0) this.#emptied();
    return items;
  }

  /** The item at `index`, counted from the oldest; undefined where there is none. */
  at(index: number): T | undefined {
    return index < this.#size ? this.#slots[(this.#head + index) & (this.#slots.length - 1)] : undefined;
  }

  /** The weight of the item at `index`, which there must be. */
  weightAt(index: number): number {
    return this.#weights[(this.#head + index) & (this.#slots.length - 1)]!;
  }

  /** Puts an item in the place of the one at `index`, which there must be. */
  replaceAt(index: number, item: T, weight = 0): void {
    const slot = (this.#head + index) & (this.#slots.length - 1);
    this.#weight += weight - this.#weights[slot]!;
    this.#slots[slot] = item;
    this.#weights[slot] = weight;
  }

  /** Takes the item at `index` out of the middle; those behind it move up. */
  removeAt(index: number): void {
    const mask = this.#slots.length - 1;
    this.#weight -= this.#weights[(this.#head + index) & mask]!;
    for (let i = index; i < this.#size - 1; i++) {
      const [to, from] = [(this.#head + i) & mask, (this.#head + i + 1) & mask];
      this.#slots[to] = this.#slots[from];
      this.#weights[to] = this.#weights[from]!;
    }
    this.#slots[(this.#head + --this.#size) & mask] = undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#size = 0;
    this.#weight = 0;
    this.#resize(FIRST_CAPACITY);
  }

  /** A burst must not hold its memory for ever, and a steady stream of bursts must not make it anew each time. */
  #emptied(): void {
    const { length } = this.#slots;
    if (length > SMALL_CAPACITY) {
      this.#quiet = this.#peak <= length / 4 ? this.#quiet + 1 : 0;
      if (this.#quiet === QUIET_TIMES) this.#resize(length / 2);
    }
    this.#peak = 0;
  }

  #resize(capacity: number): void {
    const slots: (T | undefined)[] = new Array(capacity);
    const weights: number[] = new Array(capacity).fill(0);
    const mask = this.#slots.length - 1;
    for (let i = 0; i < this.#size; i++) {
      slots[i] = this.#slots[(this.#head + i) & mask];
      weights[i] = this.#weights[(this.#head + i) & mask]!;
    }
    this.#slots = slots;
    this.#weights = weights;
    this.#head = 0;
    this.#quiet = 0;
  }
}
