/**
 * A queue that is filled as it is emptied: whoever fills it may keep more at hand, and is asked for it when nothing waits.
 *
 * What is made when it is wanted is taken out of the nearest cache, and need not go through the ring: to make all messages
 * of a read, of up to 256 KiB, before the first of them was looked at took a seventh longer on Deno and Node.
 *
 * @module
 */

import { Queue } from "./queue.ts";

/** Who keeps more at hand. */
export interface Supply {
  /** Gives more, at once, where there is more. */
  more: (() => void) | undefined;
}

const NOTHING: never[] = [];
/** More than anybody takes at a time, and an integer: what is calculated with `Infinity` is a floating-point number for good. */
const ALL = 2 ** 30;
/** So many items are worth to be put in as one. */
const FEW = 4;

/** The queue. */
export class SuppliedQueue<T> extends Queue<T> {
  /** What was put in as one; it goes before what else waits. So much of it was taken. */
  #bunch: T[] = NOTHING;
  #taken = 0;
  /** What the consumer is being given, and how many items that may become. */
  #given: T[] | undefined;
  #most = ALL;
  #supply: Supply | undefined;
  /** Is it being asked? */
  #asks = false;

  override get size(): number {
    return super.size + this.#bunch.length - this.#taken;
  }

  override get weight(): number {
    let weight = super.weight;
    for (let i = this.#taken; i < this.#bunch.length; i++) weight += this.weigh(this.#bunch[i]!);
    return weight;
  }

  override take(): T | undefined {
    if (this.#bunch !== NOTHING) return this.#takeOfBunch();
    const item = super.take();
    if (item !== undefined || this.#supply === undefined) return item;
    this.#ask();
    return this.#bunch !== NOTHING ? this.#takeOfBunch() : super.take();
  }

  override takeMany(most: number): T[] {
    const items = this.#takeBunch(most);
    if (items.length < most && this.size === 0 && this.#supply !== undefined) {
      this.#given = items;
      this.#most = most;
      this.#ask();
      this.#given = undefined;
      this.#most = ALL;
    }
    if (items.length === 0) return super.takeMany(most);
    this.tookSome();
    return items;
  }

  override put(item: T, weight = 0): void {
    // A bunch is for whoever takes it soon: the weight of each of its items is not kept.
    if (this.#bunch !== NOTHING && this.state === "open") {
      for (const item of this.#takeBunch(ALL)) this.push(item, this.weigh(item));
    }
    super.put(item, weight);
  }

  override clear(): void {
    this.#clearBunch();
    super.clear();
  }

  /** How many items are worth to be put in as one: any where they were asked for. None where too many wait. */
  protected get least(): number {
    if (super.size === 0 && this.#bunch === NOTHING) return this.#asks ? 1 : FEW;
    return this.#isLittle() ? FEW : ALL;
  }

  /** Where they are to be added; it may have {@linkcode most} then. */
  protected get bunch(): T[] {
    return this.#given ?? [];
  }

  /** Has the consumer been given some already of what it takes now? */
  protected get isGiving(): boolean {
    return this.#given !== undefined && this.#given.length > 0;
  }

  /** See {@linkcode bunch}. */
  protected get most(): number {
    return this.#most;
  }

  /** Some were added to `bunch`. Are they enough, until `supply` is asked for more? */
  protected putBunch(bunch: T[], supply: Supply): boolean {
    if (bunch === this.#given && bunch.length < this.#most) return false;
    this.#supply = supply;
    if (bunch === this.#given) return true;
    this.#bunch = super.size === 0 ? bunch : this.shiftMany(super.size).concat(bunch);
    this.cameSome();
    return true;
  }

  /** The weight of an item of a bunch, asked for while it waits there. */
  protected weigh(_item: T): number {
    return 0;
  }

  /** Does so little wait that it may go before a bunch, as a part of it? */
  #isLittle(): boolean {
    if (super.size >= FEW || this.#bunch !== NOTHING || this.#given !== undefined) return false;
    let weight = 0;
    for (let i = 0; i < super.size; i++) weight += this.weigh(this.at(i)!);
    return weight === super.weight;
  }

  #ask(): void {
    const supply = this.#supply!;
    this.#supply = undefined;
    this.#asks = true;
    supply.more?.();
    this.#asks = false;
  }

  #takeOfBunch(): T {
    const item = this.#bunch[this.#taken++]!;
    if (this.#taken === this.#bunch.length) this.#clearBunch();
    this.tookSome();
    return item;
  }

  #takeBunch(most: number): T[] {
    const bunch = this.#bunch;
    if (bunch === NOTHING) return [];
    if (this.#taken === 0 && bunch.length <= most) {
      this.#clearBunch();
      return bunch;
    }
    const items = bunch.slice(this.#taken, this.#taken + most);
    this.#taken += items.length;
    if (this.#taken === bunch.length) this.#clearBunch();
    return items;
  }

  #clearBunch(): void {
    this.#bunch = NOTHING;
    this.#taken = 0;
  }
}
