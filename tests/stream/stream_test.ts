import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { Queue } from "../../src/stream/queue.ts";
import { QueueStream } from "../../src/stream/stream.ts";
import { test } from "../support/test.ts";
import { all, isSettled, turn } from "../support/turn.ts";
import { pipe, pipeWithLeftOver } from "./support.ts";

test("A queue's stream is a ReadableStream, and serves as the body of a Response", async () => {
  const queue = new Queue<Uint8Array>(() => Promise.resolve());
  const stream = new QueueStream(queue);
  assertInstanceOf(stream as unknown, ReadableStream as unknown as typeof Error);
  queue.put(new TextEncoder().encode("hel"));
  queue.put(new TextEncoder().encode("lo"));
  queue.end();
  assertEquals(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).text(), "hello");
});

test("A reader that brings its own buffer is refused: items are no bytes", () => {
  assertThrows(() => pipe().stream.getReader({ mode: "byob" }), TypeError);
});

test("Nothing is pulled before somebody asks for it", async () => {
  const { queue, stream } = pipe([1, 2, 3]);
  await turn();
  assertEquals(queue.size, 3);
  const reader = stream.getReader();
  await turn();
  assertEquals(queue.size, 3);
  assertEquals(await reader.read(), { value: 1, done: false });
  await turn();
  assertEquals(queue.size, 2);
});

test("A reader gets what is put, before and after it asks", async () => {
  const { queue, stream } = pipe([1]);
  const reader = stream.getReader();
  assertEquals(await reader.read(), { value: 1, done: false });
  const later = [reader.read(), reader.read()];
  await turn();
  queue.put(2);
  queue.put(3);
  assertEquals(await Promise.all(later), [{ value: 2, done: false }, { value: 3, done: false }]);
});

test("A clean end closes the stream after what waits", async () => {
  const { queue, stream } = pipe([1, 2]);
  const reader = stream.getReader();
  queue.end();
  assertEquals(await reader.read(), { value: 1, done: false });
  assertEquals(await reader.read(), { value: 2, done: false });
  assertEquals((await reader.read()).done, true);
  await reader.closed;
});

test("A fatal end errors the stream after what waits, with its cause", async () => {
  const { queue, stream } = pipe([1, 2]);
  const reader = stream.getReader();
  queue.fail(new RangeError("too far"));
  assertEquals(await reader.read(), { value: 1, done: false });
  assertEquals(await reader.read(), { value: 2, done: false });
  await assertRejects(() => reader.read(), RangeError, "too far");
  await assertRejects(() => reader.closed, RangeError, "too far");
});

test("The closed promise settles when the source ends and nobody reads", async () => {
  const ended = pipe();
  const endedReader = ended.stream.getReader();
  ended.queue.end();
  await endedReader.closed;

  const failed = pipe();
  const failedReader = failed.stream.getReader();
  failed.queue.fail(new RangeError("too far"));
  await assertRejects(() => failedReader.closed, RangeError, "too far");
});

test("A stream of a source that ended before it was made is closed, or errored", async () => {
  const ended = new Queue<number>(() => Promise.resolve());
  ended.end();
  await new QueueStream(ended).getReader().closed;
  const failed = new Queue<number>(() => Promise.resolve());
  failed.fail(new RangeError("too far"));
  await assertRejects(() => new QueueStream(failed).getReader().closed, RangeError);
});

test("cancel() drops what waits and resolves when the source has let go", async () => {
  let letGo = () => {};
  const { queue, stream, cancels } = pipe([1, 2], () => new Promise((resolve) => letGo = resolve));
  const cancelled = stream.cancel("enough");
  assertEquals(await isSettled(cancelled), false);
  letGo();
  await cancelled;
  assertEquals([cancels, queue.size], [["enough"], 0]);
  assertEquals(await all(stream), []);
});

test("A second cancel() is harmless, and the source hears of one", async () => {
  const { stream, cancels } = pipe([1]);
  await Promise.all([stream.cancel("once"), stream.cancel("twice")]);
  await stream.cancel("thrice");
  assertEquals(cancels, ["once"]);
});

test("cancel() of a reader ends a read that is pending", async () => {
  const { queue, stream, cancels } = pipe();
  const reader = stream.getReader();
  const pending = reader.read();
  await turn();
  await reader.cancel("enough");
  assertEquals((await pending).done, true);
  assertEquals([cancels, queue.state], [["enough"], "ended"]);
});

test("for await gets every item in order, waits for later ones, and ends with the stream", async () => {
  const { queue, stream, cancels } = pipe([1, 2]);
  const items: number[] = [];
  for await (const item of stream) {
    items.push(item);
    if (item === 2) {
      setTimeout(() => {
        queue.put(3);
        queue.put(4);
        queue.end();
      }, 0);
    }
  }
  assertEquals(items, [1, 2, 3, 4]);
  assertEquals([cancels, stream.locked], [[], false]);
});

test("for await throws the cause of a fatal end, after what waits", async () => {
  const { queue, stream } = pipe([1, 2]);
  queue.fail(new RangeError("too far"));
  const items: number[] = [];
  await assertRejects(
    async () => {
      for await (const item of stream) items.push(item);
    },
    RangeError,
    "too far",
  );
  assertEquals(items, [1, 2]);
  assertEquals(stream.locked, false);
  await assertRejects(() => stream.getReader().closed, RangeError);
});

test("break cancels the stream, and the statement behind the loop runs when the source has let go", async () => {
  const order: string[] = [];
  const { queue, stream } = pipe([1, 2], async () => {
    await turn();
    order.push("let go");
  });
  for await (const _ of stream) break;
  order.push("behind the loop");
  assertEquals(order, ["let go", "behind the loop"]);
  assertEquals([queue.size, queue.state, stream.locked], [0, "ended", false]);
});

test("A throw inside the loop cancels the stream and goes on to the caller", async () => {
  const { stream, cancels } = pipe([1, 2]);
  await assertRejects(
    async () => {
      for await (const _ of stream) throw new RangeError("too far");
    },
    RangeError,
    "too far",
  );
  assertEquals(cancels.length, 1);
});

test("With preventCancel break leaves the stream open, and the next consumer goes on", async () => {
  const { queue, stream, cancels } = pipe([1, 2, 3]);
  for await (const item of stream.values({ preventCancel: true })) if (item === 1) break;
  assertEquals([cancels, stream.locked], [[], false]);
  queue.end();
  assertEquals(await all(stream), [2, 3]);
});

test("While the stream is locked there is no second consumer", () => {
  const consumers: readonly [string, (stream: QueueStream<number>) => unknown][] = [
    ["a reader", (stream) => stream.getReader()],
    ["an iterator", (stream) => stream.values()],
    ["for await", (stream) => stream[Symbol.asyncIterator]()],
    ["direct()", (stream) => stream.direct()],
    ["tee()", (stream) => stream.tee()],
  ];
  for (const [holder, hold] of consumers) {
    const { stream } = pipe();
    hold(stream);
    assert(stream.locked, holder);
    for (const [, take] of consumers) assertThrows(() => take(stream), TypeError);
  }
});

test("cancel() of a stream that is locked rejects, and cancels nothing", async () => {
  const { stream, cancels } = pipe();
  stream.values();
  await assertRejects(() => stream.cancel(), TypeError);
  assertEquals(cancels, []);
});

test("An iterator takes the lock when it is made, and gives it up at the end", async () => {
  const { queue, stream } = pipe([1]);
  const iterator = stream.values();
  assert(stream.locked);
  queue.end();
  assertEquals(await iterator.next(), { value: 1, done: false });
  assertEquals(await iterator.next(), { value: undefined, done: true });
  assert(!stream.locked);
  assertEquals(await iterator.next(), { value: undefined, done: true });
  assertStrictEquals(iterator[Symbol.asyncIterator](), iterator);
});

test("return() while next() is pending cancels at once, and the pending next() is done", async () => {
  const { stream, cancels } = pipe();
  const iterator = stream.values();
  const pending = iterator.next();
  await turn();
  assertEquals(await iterator.return!("enough"), { value: "enough", done: true } as IteratorResult<number>);
  assertEquals(await pending, { value: undefined, done: true });
  assertEquals([cancels, stream.locked], [["enough"], false]);
  assertEquals(await iterator.next(), { value: undefined, done: true });
});

test("return() twice cancels once", async () => {
  const { stream, cancels } = pipe([1]);
  const iterator = stream.values();
  await Promise.all([iterator.return!(), iterator.return!()]);
  assertEquals(cancels.length, 1);
});

test("With preventCancel return() lets a pending next() have its item first, as the platform does", async () => {
  const { queue, stream } = pipe();
  const iterator = stream.values({ preventCancel: true });
  const pending = iterator.next();
  const returned = iterator.return!();
  queue.put(1);
  queue.put(2);
  assertEquals(await pending, { value: 1, done: false });
  await returned;
  queue.end();
  assertEquals(await all(stream), [2]);
});

test("next() may be called several times without awaiting: the calls are answered in order", async () => {
  const { queue, stream } = pipe([1]);
  const iterator = stream.values();
  const ask = () => iterator.next().then(({ value }) => value as number | undefined);
  const asked = [ask(), ask(), ask()];
  await turn();
  queue.put(2);
  // Asked between the arrival of 2 and the turn of the call that waits for it.
  asked.push(ask());
  queue.put(3);
  asked.push(ask());
  queue.put(4);
  queue.end();
  assertEquals(await Promise.all(asked), [1, 2, 3, 4, undefined]);
});

test("A next() that waits has its item in the moment in which it is put, and those behind it have theirs in order", async () => {
  const { queue, stream } = pipe();
  const iterator = stream.values();
  const waiting = [iterator.next(), iterator.next(), iterator.next()];
  queue.put(1);
  assertEquals(queue.size, 0);
  for (const item of [2, 3, 4]) queue.put(item);
  assertEquals((await Promise.all(waiting)).map(({ value }) => value), [1, 2, 3]);
  assertEquals((await iterator.next()).value, 4);
});

test("A wake-up for nothing leaves a next() that waits as it was", async () => {
  const { queue, stream } = pipe();
  const iterator = stream.values();
  const waiting = [iterator.next()];
  queue.wake();
  waiting.push(iterator.next());
  queue.put(1);
  queue.put(2);
  assertEquals((await Promise.all(waiting)).map(({ value }) => value), [1, 2]);
  const last = iterator.next();
  queue.end();
  assertEquals(await last, { value: undefined, done: true });
});

test("Of several next() that are pending at a fatal end one is told the cause, the others are done", async () => {
  const { queue, stream } = pipe();
  const iterator = stream.values();
  const first = iterator.next();
  const second = iterator.next();
  queue.fail(new RangeError("too far"));
  await assertRejects(() => first, RangeError);
  assertEquals(await second, { value: undefined, done: true });
});

test("A read that was pending when its lock was released neither loses nor reorders an item", async () => {
  const hurried: readonly ("put first" | "iterate first")[] = ["put first", "iterate first"];
  for (const order of hurried) {
    const { queue, stream } = pipe();
    const reader = stream.getReader();
    const pending = reader.read();
    await turn();
    reader.releaseLock();
    await assertRejects(() => pending, TypeError);
    if (order === "put first") {
      queue.put(1);
      await turn();
      assertEquals(queue.size, 0, "the platform holds the item");
      queue.put(2);
    }
    const iterator = stream.values();
    if (order === "iterate first") {
      queue.put(1);
      queue.put(2);
    }
    assertEquals(await iterator.next(), { value: 1, done: false });
    assertEquals(await iterator.next(), { value: 2, done: false });
    queue.put(3);
    queue.end();
    assertEquals(await iterator.next(), { value: 3, done: false });
    assertEquals(await iterator.next(), { value: undefined, done: true });
  }
});

test("An item that a released reader left behind comes first, whoever takes it", async () => {
  const takers: readonly [string, (stream: QueueStream<number>) => Promise<number[]>][] = [
    ["a reader", all],
    ["for await", async (stream) => {
      const items: number[] = [];
      for await (const item of stream) items.push(item);
      return items;
    }],
    ["several next() at once", async (stream) => {
      const iterator = stream.values();
      const steps = await Promise.all([iterator.next(), iterator.next(), iterator.next(), iterator.next()]);
      return steps.flatMap(({ value, done }) => done ? [] : [value]);
    }],
    ["tee()", async (stream) => {
      const [left, right] = stream.tee();
      const [items] = await Promise.all([all(left), all(right)]);
      return items;
    }],
  ];
  for (const [name, take] of takers) {
    const { queue, stream } = await pipeWithLeftOver();
    queue.put(2);
    queue.put(3);
    queue.end();
    assertEquals(await take(stream), [1, 2, 3], name);
  }
});

test("An item that was left behind is delivered before a fatal end", async () => {
  for (const consumer of ["reader", "iterator"] as const) {
    const { queue, stream } = await pipeWithLeftOver();
    queue.fail(new RangeError("too far"));
    const reader = consumer === "reader" ? stream.getReader() : undefined;
    const iterator = consumer === "iterator" ? stream.values() : undefined;
    const next = () => reader?.read() ?? iterator!.next();
    assertEquals(await next(), { value: 1, done: false } as IteratorResult<number>);
    await assertRejects(next, RangeError, "too far");
  }
});

test("A stream that has ended is closed when what waits is dropped, and nobody reads", async () => {
  const { queue, stream } = pipe([1, 2]);
  const reader = stream.getReader();
  queue.end();
  assertEquals(await isSettled(reader.closed), false);
  queue.clear();
  await reader.closed;
});
