import { assertEquals, assertRejects } from "@std/assert";
import { test } from "../support/test.ts";
import { all, turn } from "../support/turn.ts";
import { pipe } from "./support.ts";

test("pipeTo delivers everything, then closes the destination", async () => {
  const { queue, stream } = pipe([1, 2]);
  const items: unknown[] = [];
  const piped = stream.pipeTo(
    new WritableStream({ write: (item) => void items.push(item), close: () => void items.push("closed") }),
  );
  await turn();
  queue.put(3);
  queue.end();
  await piped;
  assertEquals(items, [1, 2, 3, "closed"]);
});

test("pipeTo cancels the stream when the destination fails, and when it is aborted", async () => {
  const failing = pipe([1, 2]);
  const destination = new WritableStream({
    write: () => {
      throw new RangeError("too far");
    },
  });
  await assertRejects(() => failing.stream.pipeTo(destination), RangeError);
  assertEquals(failing.cancels.length, 1);

  const aborted = pipe([1, 2]);
  const abort = new AbortController();
  const piped = aborted.stream.pipeTo(new WritableStream(), { signal: abort.signal });
  await turn();
  abort.abort(new RangeError("enough"));
  await assertRejects(() => piped, RangeError, "enough");
  assertEquals(aborted.cancels.length, 1);
});

test("pipeThrough transforms, and its cancel reaches the source", async () => {
  const { queue, stream, cancels } = pipe([1, 2]);
  const doubled = stream.pipeThrough(
    new TransformStream<number, number>({ transform: (item, controller) => controller.enqueue(item * 2) }),
  );
  const reader = doubled.getReader();
  assertEquals(await reader.read(), { value: 2, done: false });
  assertEquals(await reader.read(), { value: 4, done: false });
  await reader.cancel("enough");
  await turn();
  assertEquals([cancels, queue.state], [["enough"], "ended"]);
});

test("tee gives two streams with everything; the source is cancelled when both are", async () => {
  const { queue, stream, cancels } = pipe([1, 2]);
  const [left, right] = stream.tee();
  queue.put(3);
  queue.end();
  assertEquals(await Promise.all([all(left), all(right)]), [[1, 2, 3], [1, 2, 3]]);

  const open = pipe([1]);
  const [first, second] = open.stream.tee();
  const cancelled = first.cancel();
  await turn();
  assertEquals(open.cancels.length, 0);
  await Promise.all([cancelled, second.cancel()]);
  assertEquals([open.cancels.length, cancels.length], [1, 0]);
});
