import { assertEquals } from "@std/assert";
import { SuppliedQueue, type Supply } from "../../src/stream/supplied_queue.ts";
import { test } from "../support/test.ts";
import { isSettled } from "../support/turn.ts";

/** Numbers that are put in by threes when they are asked for; each weighs what it is. */
class Threes extends SuppliedQueue<number> implements Supply {
  #next = 1;
  readonly #last: number;
  more: (() => void) | undefined = () => this.supply();

  constructor(last: number) {
    super(() => Promise.resolve());
    this.#last = last;
  }

  /** Puts in the next three, and those behind them as long as they are not enough. */
  supply(): void {
    for (let enough = false; !enough && this.#next <= this.#last;) {
      const bunch = this.bunch;
      for (let i = 0; i < 3 && bunch.length < this.most && this.#next <= this.#last; i++) bunch.push(this.#next++);
      enough = this.putBunch(bunch, this);
    }
  }

  protected override weigh(item: number): number {
    return item;
  }
}

test("It is asked for more when nothing waits any more, and not before", () => {
  const queue = new Threes(6);
  assertEquals(queue.take(), undefined, "nobody has told it of a supply");
  queue.supply();
  assertEquals([queue.take(), queue.take(), queue.take(), queue.size], [1, 2, 3, 0]);
  assertEquals([queue.take(), queue.size], [4, 2]);
  assertEquals(queue.takeMany(9), [5, 6]);
  assertEquals([queue.take(), queue.takeMany(9)], [undefined, []]);
});

test("Many are taken out of as many bunches as it takes, and a part of one leaves the rest", () => {
  const queue = new Threes(20);
  queue.supply();
  assertEquals([queue.takeMany(2), queue.size, queue.weight], [[1, 2], 1, 3]);
  assertEquals(queue.takeMany(8), [3, 4, 5, 6, 7, 8, 9, 10]);
  assertEquals(queue.takeMany(100), [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
});

test("What is put in behind a bunch comes behind it, and each keeps its weight; after the end nothing is put in", () => {
  const queue = new Threes(3);
  queue.supply();
  queue.take();
  queue.put(50, 50);
  assertEquals([queue.size, queue.weight], [3, 55]);
  queue.take();
  assertEquals(queue.weight, 53);
  queue.end();
  queue.put(60, 60);
  assertEquals([queue.take(), queue.take(), queue.take(), queue.weight], [3, 50, undefined, 0]);
});

test("After the end, what was put in as one is still taken", () => {
  const queue = new Threes(3);
  queue.supply();
  queue.end();
  queue.put(4);
  assertEquals([queue.take(), queue.takeMany(5), queue.take()], [1, [2, 3], undefined]);
});

test("It is drained when the last of a bunch is taken, or forgotten", async () => {
  for (const how of ["take", "takeMany", "clear"] as const) {
    const queue = new Threes(3);
    queue.supply();
    const drained = queue.drained();
    assertEquals(await isSettled(drained), false);
    if (how === "take") { for (let i = 0; i < 3; i++) queue.take(); }
    else if (how === "takeMany") queue.takeMany(3);
    else queue.clear();
    await drained;
    assertEquals(queue.size, 0);
  }
});

test("Whoever waits for one item is given the first of a bunch", async () => {
  const queue = new Threes(6);
  const given = new Promise((give) => {
    const look = () => queue.hand(undefined, look)!({ value: queue.take()!, done: false });
    queue.hand(give, look);
  });
  queue.supply();
  assertEquals([await given, queue.size], [{ value: 1, done: false }, 2]);
});
