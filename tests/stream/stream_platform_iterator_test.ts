/** Iterators over a stream of ours, against those of the platform's. */

import { compare, likePlatform, type Scene } from "./platform.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

/** A source that takes its time. */
async function letGo(scene: Scene): Promise<void> {
  await settle();
  scene.note("source: has let go");
}

/** How a stream may have come to where somebody stops to iterate over it. Each ends with a `next` that was answered. */
const STATES: Record<string, (scene: Scene, iterator: AsyncIterator<unknown>) => void | Promise<void>> = {
  "before the first next": () => {},
  "open, with items": async (scene, iterator) => {
    scene.put(1, 2, 3);
    await iterator.next();
  },
  "open and empty": async (scene, iterator) => {
    scene.put(1);
    await iterator.next();
  },
  "ended, with items": async (scene, iterator) => {
    scene.put(1, 2, 3);
    scene.end();
    await iterator.next();
  },
  "ended before the last item was taken": async (scene, iterator) => {
    scene.put(1);
    scene.end();
    await iterator.next();
  },
  "ended after the last item was taken": async (scene, iterator) => {
    scene.put(1);
    await iterator.next();
    scene.end();
  },
  "failed after the last item was taken": async (scene, iterator) => {
    scene.put(1);
    await iterator.next();
    scene.fail(scene.error("cause"));
  },
  "at the end, which was told": async (scene, iterator) => {
    scene.end();
    await iterator.next();
  },
  "failed, which was told": async (scene, iterator) => {
    scene.fail(scene.error("cause"));
    await iterator.next().catch(() => {});
  },
};

for (const preventCancel of [false, true]) {
  const kind = preventCancel ? "return() with preventCancel" : "return()";
  test(`Like the platform, in whatever state the stream is: ${kind}, and what comes after it`, async () => {
    for (const [state, prepare] of Object.entries(STATES)) {
      for (const onCancel of ["resolves", "resolves late", "rejects"]) {
        await compare(`${state}, the source's cancel ${onCancel}`, async (scene) => {
          const sourceError = scene.error("source");
          if (onCancel === "resolves late") scene.onCancel = () => letGo(scene);
          if (onCancel === "rejects") scene.onCancel = () => Promise.reject(sourceError);
          const iterator = scene.stream.values({ preventCancel });
          await prepare(scene, iterator);
          await scene.turn();
          scene.watch("return", iterator.return!("enough"));
          scene.note(`locked: ${scene.stream.locked}`);
          await scene.turn();
          await scene.turn();
          scene.watch("next", iterator.next());
          await scene.turn();
          scene.watch("another return", iterator.return!("again"));
          await scene.turn();
          scene.put(7);
          await scene.rest();
        });
      }
    }
  });
}

type Step = "next" | "return";

test("Like the platform: calls that nobody awaits are answered in their order", async () => {
  const orders: readonly (readonly Step[])[] = [
    ["next", "next", "next"],
    ["next", "return"],
    ["return", "next"],
    ["return", "return"],
    ["next", "return", "next", "return"],
  ];
  for (const steps of orders) {
    for (const late of [false, true]) {
      for (const preventCancel of [false, true]) {
        await compare(`${steps}, preventCancel: ${preventCancel}`, async (scene) => {
          if (late) scene.onCancel = () => letGo(scene);
          scene.put(1, 2, 3, 4, 5);
          const iterator = scene.stream.values({ preventCancel });
          steps.forEach((step, i) => scene.watch(`${step} ${i}`, iterator[step]!(step)));
          await scene.turn();
          await scene.turn();
          await scene.rest();
          // A return() that cancels does not wait for the calls before it to be answered.
        }, { allow: (lines) => lines.filter((line) => !line.startsWith("source")) });
      }
    }
  }
});

test("Like the platform: next() is answered with an item, then the end or the cause, then the end", async () => {
  for (const how of ["end", "fail"] as const) {
    for (const when of ["before", "between", "while it waits"]) {
      await compare(`${how} ${when}`, async (scene) => {
        const finish = () => how === "end" ? scene.end() : scene.fail(scene.error("cause"));
        const iterator = scene.stream.values();
        if (when === "before") finish();
        else {
          scene.put(1);
          scene.watch("first", iterator.next());
          await scene.turn();
          if (when === "between") finish();
        }
        scene.watch("second", iterator.next());
        await scene.turn();
        if (when === "while it waits") finish();
        await scene.turn();
        for (const name of ["third", "fourth"]) {
          scene.watch(name, iterator.next());
          await scene.turn();
        }
        await scene.rest();
      });
    }
  }
});

test("Like the platform: however a loop is left, the stream is cancelled before what is behind it, or is not", async () => {
  const leave: Record<string, (stream: AsyncIterable<unknown>, error: Error) => Promise<unknown>> = {
    break: async (stream) => {
      for await (const _ of stream) break;
    },
    return: async (stream) => {
      for await (const item of stream) return item;
    },
    throw: async (stream, error) => {
      for await (const _ of stream) throw error;
    },
    "a generator that delegates": async (stream) => {
      async function* delegate() {
        yield* stream;
      }
      for await (const _ of delegate()) break;
    },
  };
  for (const [how, loop] of Object.entries(leave)) {
    for (const preventCancel of [false, true]) {
      for (const onCancel of ["resolves late", "rejects"]) {
        await compare(`${how}, preventCancel: ${preventCancel}, the source's cancel ${onCancel}`, async (scene) => {
          const sourceError = scene.error("source");
          scene.onCancel = async () => {
            await letGo(scene);
            if (onCancel === "rejects") throw sourceError;
          };
          scene.put("1", "2", "3");
          const left = loop(
            { [Symbol.asyncIterator]: () => scene.stream.values({ preventCancel }) },
            scene.error("body"),
          );
          scene.watch("behind the loop", left.then((value) => value && scene.item(value)));
          await scene.turn();
          await scene.turn();
          await scene.rest();
        });
      }
    }
  }
});

likePlatform("iterating takes one item for each next(), and none before", async (scene) => {
  scene.put(1, 2, 3);
  const iterator = scene.stream.values();
  await scene.turn();
  for (let i = 0; i < 4; i++) {
    scene.note(`waiting: ${scene.waiting}`);
    scene.watch("next", iterator.next());
    await scene.turn();
  }
});

likePlatform("iterating over what a reader has left, and reading what an iterator has left", async (scene) => {
  scene.put(1, 2, 3, 4);
  const reader = scene.stream.getReader();
  scene.watch("read", reader.read());
  await scene.turn();
  reader.releaseLock();
  const iterator = scene.stream.values({ preventCancel: true });
  scene.watch("next", iterator.next());
  await scene.turn();
  scene.watch("return", iterator.return!());
  await scene.turn();
  scene.end();
  await scene.rest();
});

likePlatform(
  "a loop over a stream that has ended, and one over a stream that fails, leave it unlocked",
  async (scene) => {
    const loop = async () => {
      for await (const chunk of scene.stream) scene.note(`item ${scene.item(chunk)}`);
    };
    scene.watch("loop", loop());
    scene.put(1, 2);
    await scene.turn();
    scene.fail(scene.error("cause"));
    await scene.turn();
    scene.watch("another loop", loop());
    await scene.turn();
    await scene.rest();
  },
);

likePlatform("an iterator whose next() waits when another item, the end and the next call come", async (scene) => {
  const iterator = scene.stream.values();
  for (let i = 0; i < 3; i++) scene.watch(`next ${i}`, iterator.next());
  await scene.turn();
  scene.put(1);
  await scene.turn();
  scene.put(2);
  scene.end();
  await scene.turn();
  await scene.rest();
});

likePlatform("an iterator has next and return, and what every iterator of the platform inherits", async (scene) => {
  const iterator = scene.stream.values();
  const inherited = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype);
  for (const key of ["next", "return", "throw", ...Reflect.ownKeys(inherited)]) {
    scene.note(`${String(key)}: ${typeof Reflect.get(iterator, key)}`);
  }
  scene.note(`inherits: ${Object.prototype.isPrototypeOf.call(inherited, iterator)}`);
  scene.note(`iterates over itself: ${iterator[Symbol.asyncIterator]() === iterator}`);
  scene.put(1);
  for (const step of [await iterator.next(), await iterator.return!("value")]) {
    scene.note(`${Object.keys(step).sort()}, plain: ${Object.getPrototypeOf(step) === Object.prototype}`);
  }
});

likePlatform("an iterator can be disposed of where the platform's can", async (scene) => {
  const { asyncDispose = Symbol("none") } = Symbol as { asyncDispose?: symbol };
  const iterator = scene.stream.values();
  const dispose: unknown = Reflect.get(iterator, asyncDispose);
  if (typeof dispose === "function") scene.watch("dispose", dispose.call(iterator));
  await scene.turn();
  await scene.rest();
});

test("Like the platform: values() reads its options as the platform does, and where it throws leaves no lock", async () => {
  const thrown: unknown[] = [undefined, null, {}];
  const prevent: unknown[] = [true, 1, "yes", {}, false, 0, "", null, undefined];
  for (const given of [...thrown, ...prevent.map((preventCancel) => ({ preventCancel }))]) {
    for (const method of ["values", Symbol.asyncIterator] as const) {
      await compare(`${String(method)} of ${JSON.stringify(given)}`, async (scene) => {
        scene.put(1, 2);
        const iterator = scene.stream[method](given as ReadableStreamIteratorOptions);
        scene.watch("return", iterator.return!("enough"));
        await scene.turn();
        await scene.rest();
      });
    }
  }
  await compare("a getter that throws", async (scene) => {
    const error = scene.error("getter");
    const options = {
      get preventCancel(): boolean {
        throw error;
      },
    };
    scene.attempt("values", () => scene.stream.values(options));
    await scene.rest();
  });
});
