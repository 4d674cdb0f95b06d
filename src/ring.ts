/**
 * A first-in first-out queue: a ring whose capacity is a power of two and grows as needed.
 *
 * @module
 */

const FIRST_CAPACITY = 16;

/** The queue. It has no limit of its own; whoever owns it sets one. */
export class Ring<T> {
  #slots: (T | undefined)[] = new Array(FIRST_CAPACITY);
  #head = 0;
  #size = 0;

  /** How many items wait. */
  get size(): number {
    return this.#size;
  }

  /** Adds an item at the end. */
  push(item: T): void {
    if (this.#size === this.#slots.length) this.#resize(this.#size * 2);
    this.#slots[(this.#head + this.#size++) & (this.#slots.length - 1)] = item;
  }

  /** Takes the oldest item; undefined where there is none. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    // A burst must not hold its memory for ever.
    if (--this.#size === 0 && this.#slots.length > 1024) this.#resize(FIRST_CAPACITY);
    return item;
  }

  /** The item at `index`, counted from the oldest; undefined where there is none. */
  at(index: number): T | undefined {
    return index < this.#size ? this.#slots[(this.#head + index) & (this.#slots.length - 1)] : undefined;
  }

  /** Takes the item at `index` out of the middle; those behind it move up. */
  removeAt(index: number): void {
    const mask = this.#slots.length - 1;
    for (let i = index; i < this.#size - 1; i++) {
      this.#slots[(this.#head + i) & mask] = this.#slots[(this.#head + i + 1) & mask];
    }
    this.#slots[(this.#head + --this.#size) & mask] = undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#slots = new Array(FIRST_CAPACITY);
    this.#head = 0;
    this.#size = 0;
  }

  #resize(capacity: number): void {
    const slots: (T | undefined)[] = new Array(capacity);
    for (let i = 0; i < this.#size; i++) slots[i] = this.at(i);
    this.#slots = slots;
    this.#head = 0;
  }
}
