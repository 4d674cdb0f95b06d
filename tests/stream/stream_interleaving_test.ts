import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { BatchSource, QueueStream } from "../../src/stream/stream.ts";
import { test } from "../support/test.ts";
import { turn } from "../support/turn.ts";
import { pipe } from "./support.ts";

/** Holds the lock of a stream, and takes from it. */
interface Consumer {
  /** Asks for the next item or items; does not wait for them. */
  ask(): void;
  /** Gives up the lock, so that the next consumer may have it; false where that is not possible any more. */
  leave(): Promise<boolean>;
}

type Step = "put" | "ask" | "turn" | "microtask" | "reader" | "iterator" | "batches";
const STEPS: readonly Step[] = ["put", "put", "ask", "ask", "turn", "microtask", "reader", "iterator", "batches"];

function readerOf(stream: QueueStream<number>, got: (item: number) => void): Consumer {
  const reader = stream.getReader();
  return {
    ask: () => void reader.read().then(({ value, done }) => done || got(value), () => {}),
    leave: () => {
      // Reads that are pending reject; what they were to get comes to the next consumer.
      reader.releaseLock();
      return Promise.resolve(true);
    },
  };
}

function iteratorOf(stream: QueueStream<number>, got: (item: number) => void): Consumer {
  const iterator = stream.values({ preventCancel: true });
  let asked = 0;
  let answered = 0;
  return {
    ask: () => {
      asked++;
      void iterator.next().then(({ value, done }) => {
        answered++;
        if (!done) got(value);
      }, () => {});
    },
    leave: async () => {
      await turn();
      // As on the platform, return() waits for the next() before it, which may have nothing to get yet.
      if (answered < asked) return false;
      await iterator.return!();
      return true;
    },
  };
}

function batchesOf(stream: QueueStream<number>, got: (item: number) => void): Consumer {
  const reader = new QueueStream(new BatchSource(stream.direct(), 2)).getReader();
  return {
    ask: () => void reader.read().then(({ value }) => value?.forEach(got), () => {}),
    leave: () => Promise.resolve(false),
  };
}

const CONSUMERS = { reader: readerOf, iterator: iteratorOf, batches: batchesOf };

test("However putting, reading and handing over the lock are interleaved, every item comes once and in order", async () => {
  const end = fc.constantFrom<"ended" | "failed">("ended", "failed");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...STEPS), { maxLength: 40 }), end, async (steps, end) => {
      const { queue, stream } = pipe();
      const got: number[] = [];
      let put = 0;
      let consumer = readerOf(stream, (item) => got.push(item));
      let kind: Step = "reader";
      for (const step of steps) {
        if (step === "put") queue.put(++put);
        else if (step === "ask") consumer.ask();
        else if (step === "turn") await turn();
        else if (step === "microtask") await Promise.resolve();
        else if (await consumer.leave()) {
          kind = step;
          consumer = CONSUMERS[step](stream, (item) => got.push(item));
        }
      }
      if (end === "ended") queue.end();
      else queue.fail(new RangeError("too far"));
      for (let i = 0; i <= put; i++) consumer.ask();
      await turn();
      assertEquals(got, Array.from({ length: put }, (_, i) => i + 1));
      if (end === "failed" && kind !== "batches" && await consumer.leave()) {
        await assertRejects(() => stream.getReader().closed, RangeError);
      }
    }),
    { numRuns: 300, seed: 20_240_611 },
  );
});
