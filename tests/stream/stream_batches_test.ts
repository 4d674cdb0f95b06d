import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BatchSource, QueueStream } from "../../src/stream/stream.ts";
import { test } from "../support/test.ts";
import { all, turn } from "../support/turn.ts";
import { pipe, pipeWithLeftOver } from "./support.ts";

function batches(stream: QueueStream<number>, most = 1_024): QueueStream<readonly number[]> {
  return new QueueStream(new BatchSource(stream.direct(), most));
}

test("A chunk holds everything that has come since the last read, at most maxBatch", async () => {
  const { queue, stream } = pipe([1, 2, 3, 4, 5]);
  const reader = batches(stream, 3).getReader();
  assertEquals((await reader.read()).value, [1, 2, 3]);
  queue.put(6);
  assertEquals((await reader.read()).value, [4, 5, 6]);
  const pending = reader.read();
  await turn();
  queue.put(7);
  queue.put(8);
  assertEquals((await pending).value, [7, 8]);
});

test("There is no empty chunk: for await waits", async () => {
  const { queue, stream } = pipe();
  setTimeout(() => {
    queue.put(1);
    queue.end();
  }, 0);
  const chunks: (readonly number[])[] = [];
  for await (const chunk of batches(stream)) chunks.push(chunk);
  assertEquals(chunks, [[1]]);
});

test("A stream of batches ends after what waits, and is closed also when nobody reads", async () => {
  const { queue, stream } = pipe([1, 2, 3]);
  const chunks = batches(stream, 2);
  queue.end();
  assertEquals(await all(chunks), [[1, 2], [3]]);

  const idle = pipe();
  const reader = batches(idle.stream).getReader();
  idle.queue.end();
  await reader.closed;
});

test("A stream of batches fails after what waits, with the cause", async () => {
  const { queue, stream } = pipe([1, 2, 3]);
  const reader = batches(stream, 2).getReader();
  queue.fail(new RangeError("too far"));
  assertEquals((await reader.read()).value, [1, 2]);
  assertEquals((await reader.read()).value, [3]);
  await assertRejects(() => reader.read(), RangeError, "too far");
});

test("Cancelling a stream of batches cancels the source", async () => {
  const { stream, cancels } = pipe([1, 2]);
  const chunks = batches(stream, 1);
  assertEquals(cancels, []);
  for await (const _ of chunks) break;
  assertEquals(cancels.length, 1);
  assertEquals(await all(stream), []);

  const direct = pipe([1]);
  await batches(direct.stream).cancel("enough");
  assertEquals(direct.cancels, ["enough"]);
});

test("Batches hold the lock of the stream", () => {
  const { stream } = pipe();
  batches(stream);
  assert(stream.locked);
  assertThrows(() => batches(stream), TypeError);
  assertThrows(() => stream.values(), TypeError);
  assertThrows(() => stream.getReader(), TypeError);
});

test("An item that a released reader left behind comes in the first chunk", async () => {
  for (const end of ["end", "fail", "open"] as const) {
    const { queue, stream } = await pipeWithLeftOver();
    const chunks = batches(stream).getReader();
    const first = chunks.read();
    // While the item is on its way from the platform's queue the source may come to its end.
    await Promise.resolve();
    if (end === "end") queue.end();
    if (end === "fail") queue.fail(new RangeError("too far"));
    assertEquals(await first, { value: [1], done: false });
    if (end === "end") assertEquals((await chunks.read()).done, true);
    if (end === "fail") await assertRejects(() => chunks.read(), RangeError, "too far");
    if (end === "open") {
      queue.put(2);
      assertEquals((await chunks.read()).value, [2]);
    }
  }
});
