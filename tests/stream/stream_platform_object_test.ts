/** What a stream of ours is to those who look at it, send it away or lose it, against one of the platform's. */

import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { Queue } from "../../src/stream/queue.ts";
import { QueueStream } from "../../src/stream/stream.ts";
import { CANNOT_TRANSFER, compare, likePlatform } from "./platform.ts";
import { CANNOT_COLLECT, collect } from "../support/garbage.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";
import { all, isSettled } from "../support/turn.ts";
import { pipe } from "./support.ts";

test("A stream of ours is a ReadableStream by every sign, but its constructor is its own", () => {
  const { stream } = pipe();
  assertInstanceOf(stream as unknown, ReadableStream as unknown as typeof Error);
  assertEquals(Object.prototype.toString.call(stream), "[object ReadableStream]");
  assertEquals([stream.constructor.name, Object.getPrototypeOf(QueueStream)], ["QueueStream", ReadableStream]);
  const locked = Object.getOwnPropertyDescriptor(ReadableStream.prototype, "locked")!.get!;
  assertEquals(locked.call(stream), false);
  assertEquals(Object.keys(stream), []);
  for (const name of ["cancel", "getReader", "pipeThrough", "pipeTo", "tee", "locked"]) {
    assert(!Object.hasOwn(QueueStream.prototype, name), `${name} is the platform's own`);
  }
});

/** Patches a property for as long as `run` takes. */
async function patched(target: object, name: PropertyKey, value: unknown, run: () => Promise<void>): Promise<void> {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
  try {
    await run();
  } finally {
    if (before === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, before);
  }
}

test("Like the platform: what somebody has patched on the prototype, or in the global object, is not used", async () => {
  const broken = () => {
    throw new Error("What was patched is called");
  };
  const targets: readonly [object, string][] = [
    [ReadableStream.prototype, "getReader"],
    [ReadableStream.prototype, "cancel"],
    [globalThis, "ReadableStream"],
    [globalThis, "ReadableStreamDefaultReader"],
  ];
  for (const [target, name] of targets) {
    await compare(name, (scene) =>
      patched(target, name, broken, async () => {
        scene.put(1, 2, 3);
        const iterator = scene.stream.values({ preventCancel: true });
        scene.watch("next", iterator.next());
        await scene.turn();
        scene.watch("return", iterator.return!("value"));
        await scene.turn();
        const [left, right] = scene.stream.tee();
        scene.watch("left", left.pipeTo(scene.sink()));
        scene.watch("right", right.pipeTo(scene.sink()));
        scene.end();
        await scene.turn();
      }));
  }
});

likePlatform("piping, teeing and reading on do not ask items or steps for a then()", async (scene) => {
  const items: unknown[] = [{ an: "item" }, { an: "item" }];
  const isItem = (chunk: unknown) => items.includes(chunk) || Array.isArray(chunk) && items.includes(chunk[0]);
  scene.put(...items);
  scene.end();
  const [left, right] = scene.stream.tee();
  let asked = 0;
  const spy = {
    get(this: { value?: unknown }): undefined {
      // Whatever else runs in this turn may ask other objects.
      if (isItem(this) || isItem(this.value)) asked++;
      return undefined;
    },
    configurable: true,
  };
  Object.defineProperty(Object.prototype, "then", spy);
  try {
    await left.pipeTo(new WritableStream());
  } finally {
    Reflect.deleteProperty(Object.prototype, "then");
  }
  scene.note(`asked: ${asked}`);
  await right.cancel();
}, { against: ["pulled"] });

/** Sends a stream away, and gives what arrives. */
type Send = (stream: ReadableStream<unknown>) => Promise<ReadableStream<unknown>>;

const SENDS: Record<string, Send> = {
  "structuredClone": (stream) =>
    Promise.resolve(structuredClone(stream, { transfer: [stream] as unknown as Transferable[] })),
  "a message port": async (stream) => {
    const { port1, port2 } = new MessageChannel();
    const arrived = new Promise<MessageEvent>((resolve) => port2.onmessage = resolve);
    port1.postMessage(stream, [stream] as unknown as Transferable[]);
    const { data } = await arrived;
    port1.close();
    port2.close();
    return data;
  },
};

for (const [how, send] of Object.entries(SENDS)) {
  const title = `Like the platform: a stream that is transferred by ${how} goes on there`;
  testUnless(CANNOT_TRANSFER, title, async () => {
    // Node waits for nobody who waits for a stream that was transferred.
    const awake = setInterval(() => {}, 1_000);
    for (const then of ["end", "fail", "cancel"]) {
      await compare(then, async (scene) => {
        scene.put(1, 2);
        const moved = await send(scene.stream);
        scene.note(`a ReadableStream: ${moved.constructor === ReadableStream}, locked: ${scene.stream.locked}`);
        const reader = moved.getReader();
        for (let i = 0; i < 2; i++) scene.note(`item ${scene.item((await reader.read()).value)}`);
        if (then === "cancel") {
          const cancelled = new Promise<void>((resolve) => scene.onCancel = () => resolve());
          await reader.cancel("enough");
          return await cancelled;
        }
        if (then === "end") scene.end();
        else scene.fail(new RangeError("cause"));
        const last = await reader.read().catch((error: unknown) => error);
        scene.note(last instanceof RangeError ? `fails: ${last.message}` : `done: ${(last as { done: boolean }).done}`);
      });
    }
    clearInterval(awake);
  });
}

test("A stream that is not transferred is not cloned, and stays as it was", async () => {
  await compare("structuredClone without transfer", async (scene) => {
    scene.put(1);
    scene.attempt("structuredClone", () => structuredClone(scene.stream));
    await scene.rest();
  });
});

/** Collects garbage at once. */
testUnless(
  CANNOT_COLLECT,
  "A reader or an iterator that is dropped keeps the lock, and what waits stays where it is",
  async () => {
    for (const drop of ["reader", "iterator", "batches"]) {
      const { queue, stream, cancels } = pipe([1, 2]);
      const dropped = (() => {
        if (drop === "reader") return new WeakRef(stream.getReader() as object);
        return new WeakRef((drop === "iterator" ? stream.values() : stream.direct()) as object);
      })();
      await isSettled(Promise.resolve());
      collect?.();
      await isSettled(Promise.resolve());
      assertEquals([stream.locked, cancels, queue.size, queue.state], [true, [], 2, "open"], drop);
      if (drop !== "reader") assertStrictEquals(dropped.deref(), undefined, drop);
    }
  },
);

testUnless(
  CANNOT_COLLECT,
  "The promise of the end of a stream settles also when nobody holds the stream and its reader",
  async () => {
    for (const end of ["end", "fail"] as const) {
      const queue = new Queue<number>(() => Promise.resolve());
      const closed = (() => new QueueStream(queue).getReader().closed)();
      await isSettled(closed);
      collect?.();
      if (end === "end") queue.end();
      else queue.fail(new RangeError("too far"));
      assertEquals(await closed.then(() => "end", (error) => error.message), end === "end" ? "end" : "too far");
    }
  },
);

testUnless(CANNOT_COLLECT, "A stream that nobody holds any more is let go of, with its queue", async () => {
  const [stream, queue] = (() => {
    const made = pipe([1, 2]);
    return [new WeakRef<object>(made.stream), new WeakRef<object>(made.queue)];
  })();
  await isSettled(Promise.resolve());
  collect?.();
  assertEquals([stream!.deref(), queue!.deref()], [undefined, undefined]);
  assertEquals(await all(pipeOfNothing()), []);
});

function pipeOfNothing(): ReadableStream<number> {
  const { queue, stream } = pipe();
  queue.end();
  return stream;
}
