import { assertEquals, assertStrictEquals } from "@std/assert";
import { Queue } from "../../src/stream/queue.ts";
import { test } from "../support/test.ts";
import { isSettled } from "../support/turn.ts";

function queueOf(...items: number[]): Queue<number> {
  const queue = new Queue<number>(() => Promise.resolve());
  for (const item of items) queue.put(item);
  return queue;
}

function takeAll(queue: Queue<number>): number[] {
  const items: number[] = [];
  for (let item; (item = queue.take()) !== undefined;) items.push(item);
  return items;
}

test("A queue gives items in the order in which they were put, also after it has grown and shrunk", () => {
  const queue = queueOf();
  let next = 0;
  let expected = 0;
  for (const count of [1, 17, 5_000, 3]) {
    for (let i = 0; i < count; i++) queue.put(next++);
    assertEquals(queue.size, count);
    for (const item of takeAll(queue)) assertStrictEquals(item, expected++);
  }
  assertStrictEquals(expected, next);
  assertStrictEquals(queue.take(), undefined);
});

for (const end of ["end", "fail"] as const) {
  test(`After ${end}() a queue still gives what waits, and takes nothing more`, () => {
    const queue = queueOf(1, 2);
    const cause = new Error("gone");
    if (end === "end") queue.end();
    else queue.fail(cause);
    queue.put(3);
    assertEquals(takeAll(queue), [1, 2]);
    assertEquals(queue.state, end === "end" ? "ended" : "failed");
    assertStrictEquals(queue.error, end === "end" ? undefined : cause);
  });
}

test("The first end of a queue is final, and it is told once", () => {
  const queue = queueOf();
  let told = 0;
  queue.onEnd = () => told++;
  queue.fail(new Error("first"));
  queue.end();
  queue.fail(new Error("second"));
  assertEquals(queue.state, "failed");
  assertEquals((queue.error as Error).message, "first");
  assertEquals(told, 1);
});

test("wait() resolves when there is something to take, and at the end", async () => {
  const queue = queueOf();
  const first = queue.wait();
  const second = queue.wait();
  assertEquals(await isSettled(first), false);
  queue.put(1);
  await Promise.all([first, second, queue.wait()]);
  queue.take();
  const third = queue.wait();
  assertEquals(await isSettled(third), false);
  queue.end();
  await Promise.all([third, queue.wait()]);
});

test("drained() resolves at once for an empty queue, else with the last take", async () => {
  const queue = queueOf();
  await queue.drained();
  queue.put(1);
  queue.put(2);
  const drained = queue.drained();
  queue.take();
  assertEquals(await isSettled(drained), false);
  queue.take();
  await drained;
});

test("drained() can be asked for again after the queue was empty", async () => {
  const queue = queueOf(1);
  const first = queue.drained();
  queue.take();
  await first;
  queue.put(2);
  const second = queue.drained();
  assertEquals(await isSettled(second), false);
  queue.take();
  await second;
});

test("clear() drops what waits, which is drained then", async () => {
  const queue = queueOf(1, 2);
  const drained = queue.drained();
  queue.clear();
  await drained;
  assertEquals([queue.size, queue.state, queue.take()], [0, "open", undefined]);
  queue.put(3);
  assertEquals(takeAll(queue), [3]);
});

test("cancel() drops what waits, ends the queue, and waits for its owner", async () => {
  let letGo = () => {};
  const reasons: unknown[] = [];
  const queue = new Queue<number>((reason) => {
    reasons.push(reason);
    return new Promise((resolve) => letGo = resolve);
  });
  queue.put(1);
  const cancelled = queue.cancel("enough");
  assertEquals([queue.size, queue.state], [0, "ended"]);
  assertEquals(await isSettled(cancelled), false);
  letGo();
  await cancelled;
  assertEquals(reasons, ["enough"]);
});

test("An item takes the place of another one", () => {
  const queue = queueOf(1, 2, 3);
  queue.replaceAt(1, 9, 5);
  assertEquals([queue.at(1), queue.weightAt(1), queue.weight, queue.at(3)], [9, 5, 5, undefined]);
  assertEquals(takeAll(queue), [1, 9, 3]);
});

test("wake() lets whoever waits look again", async () => {
  const queue = queueOf();
  queue.wake();
  const waits = queue.wait();
  assertEquals(await isSettled(waits), false);
  queue.wake();
  await waits;
  assertEquals(await isSettled(queue.wait()), false);
});
