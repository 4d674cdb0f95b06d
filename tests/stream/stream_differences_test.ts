/** Where a stream of ours is unlike the platform's, on purpose. Everything else is held to be alike: stream_platform_*. */

import { assertEquals, assertRejects } from "@std/assert";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { all } from "../support/turn.ts";
import { pipe } from "./support.ts";

const CAUSE = new RangeError("too far");

/** Writes down how promises settle, in their order. */
function record(): { readonly lines: string[]; watch(name: string, promise: Promise<unknown>): void } {
  const lines: string[] = [];
  const shown = (value: unknown) => {
    if (typeof value !== "object" || value === null || !("done" in value && "value" in value)) return String(value);
    return value.done ? `done ${value.value}` : `item ${value.value}`;
  };
  const watch = (name: string, promise: Promise<unknown>) =>
    void promise.then(
      (value) => lines.push(`${name}: ${shown(value)}`),
      (error) => lines.push(`${name}! ${error.message}`),
    );
  return { lines, watch };
}

test("What waits is delivered before a failure is told, where the platform would drop it", async () => {
  let controller!: ReadableStreamDefaultController<number>;
  const platform = new ReadableStream<number>({ start: (made) => void (controller = made) });
  controller.enqueue(1);
  controller.error(CAUSE);
  await assertRejects(() => platform.getReader().read(), RangeError);

  const { queue, stream } = pipe([1, 2]);
  queue.fail(CAUSE);
  const written: unknown[] = [];
  const sink = new WritableStream({
    write: (item) => void written.push(item),
    abort: (reason) => void written.push(reason),
  });
  await assertRejects(() => stream.pipeTo(sink), RangeError);
  assertEquals(written, [1, 2, CAUSE]);
});

test("A consumer that leaves a stream that has failed, while items wait, is not told; the next one is", async () => {
  const first = pipe([1, 2]);
  first.queue.fail(CAUSE);
  for await (const _ of first.stream) break;
  assertEquals([first.cancels.length, await all(first.stream)], [1, []]);

  const second = pipe([1, 2]);
  second.queue.fail(CAUSE);
  for await (const _ of second.stream.values({ preventCancel: true })) break;
  const reader = second.stream.getReader();
  assertEquals(await reader.read(), { value: 2, done: false });
  await assertRejects(() => reader.read(), RangeError);
});

test("return() does not wait for an item that may never come: it cancels, and every next() that waits is done", async () => {
  const { stream, cancels } = pipe([], settle);
  const { lines, watch } = record();
  const iterator = stream.values();
  for (const name of ["first", "second", "third"]) watch(name, iterator.next());
  await settle();
  watch("return", iterator.return!("enough"));
  watch("late", iterator.next());
  assertEquals([cancels, stream.locked], [["enough"], false]);
  await settle();
  await settle();
  assertEquals(lines, [
    "first: done undefined",
    "second: done undefined",
    "third: done undefined",
    "return: done enough",
    "late: done undefined",
  ]);
});

// From here on the standard is clear, and the runtimes' own iterators are not all true to it.

test("With preventCancel return() is answered after every next() before it, and one after it is done", async () => {
  const { queue, stream } = pipe();
  const { lines, watch } = record();
  const iterator = stream.values({ preventCancel: true });
  watch("first", iterator.next());
  watch("second", iterator.next());
  watch("return", iterator.return!("enough"));
  watch("third", iterator.next());
  await settle();
  queue.put(1);
  await settle();
  watch("another return", iterator.return!("again"));
  queue.put(2);
  queue.put(3);
  await settle();
  assertEquals(lines, [
    "first: item 1",
    "second: item 2",
    "return: done enough",
    "third: done undefined",
    "another return: done again",
  ]);
  queue.end();
  assertEquals(await all(stream), [3]);
});

for (const end of ["end", "fail"] as const) {
  test(`When some of several next() are answered, one more may be asked for before the ${end}`, async () => {
    const { queue, stream } = pipe();
    const { lines, watch } = record();
    const iterator = stream.values();
    watch("first", iterator.next());
    watch("second", iterator.next());
    queue.put(1);
    await settle();
    watch("third", iterator.next());
    await settle();
    if (end === "end") queue.end();
    else queue.fail(CAUSE);
    // In the same moment as the end, and yet behind those that wait.
    watch("fourth", iterator.next());
    await settle();
    const second = end === "end" ? "second: done undefined" : "second! too far";
    assertEquals(lines, ["first: item 1", second, "third: done undefined", "fourth: done undefined"]);
    assertEquals(stream.locked, false);
  });
}
