/** Readers of a stream of ours, against those of the platform's. */

import { compare, likePlatform, type Scene } from "./platform.ts";
import { test } from "../support/test.ts";

/** How a stream may stand when its consumer comes. */
const STATES: Record<string, (scene: Scene) => void | Promise<void>> = {
  "open and empty": () => {},
  "open, with two items": (scene) => scene.put(1, 2),
  "ended": (scene) => scene.end(),
  "ended, with two items": (scene) => {
    scene.put(1, 2);
    scene.end();
  },
  "failed": (scene) => scene.fail(scene.error("cause")),
  "failed with undefined": (scene) => scene.fail(undefined),
  "failed with null": (scene) => scene.fail(null),
  "cancelled": (scene) => scene.watch("the first cancel", scene.stream.cancel("early")),
};

/** What a consumer may do there. */
const PROBES: Record<string, (scene: Scene) => void | Promise<void>> = {
  "three reads at once": (scene) => {
    const reader = scene.stream.getReader();
    for (const name of ["first", "second", "third"]) scene.watch(name, reader.read());
  },
  "each read from inside the answer to the one before": (scene) => {
    const reader = scene.stream.getReader();
    const read = async () => {
      const first = await reader.read();
      scene.note(`then ${first.done ? "the end" : scene.item(first.value)}`);
      if (!first.done) await read();
    };
    scene.watch("all", read());
  },
  "closed, before and after the lock is given up": async (scene) => {
    const reader = scene.stream.getReader();
    const { closed } = reader;
    scene.note(`closed is one promise: ${reader.closed === closed}`);
    scene.watch("closed before", closed);
    await scene.turn();
    reader.releaseLock();
    scene.note(`closed is the same afterwards: ${reader.closed === closed}`);
    scene.watch("closed after", reader.closed);
  },
  "a reader that was released reads, cancels and releases once more": async (scene) => {
    const released = scene.stream.getReader();
    released.releaseLock();
    const reader = scene.stream.getReader();
    scene.watch("released read", released.read());
    scene.watch("released cancel", released.cancel("late"));
    scene.watch("released closed", released.closed);
    scene.attempt("releaseLock", () => released.releaseLock());
    scene.note(`locked: ${scene.stream.locked}`);
    await scene.turn();
    scene.watch("read", reader.read());
  },
  "a second reader while there is one, and after it": (scene) => {
    const reader = scene.stream.getReader();
    scene.attempt("getReader", () => scene.stream.getReader());
    scene.attempt("new reader", () => new ReadableStreamDefaultReader(scene.stream));
    scene.attempt("tee", () => scene.stream.tee());
    scene.attempt("values", () => scene.stream.values());
    scene.watch("pipeTo", scene.stream.pipeTo(scene.sink()));
    reader.releaseLock();
    scene.note(`locked: ${scene.stream.locked}`);
    scene.watch("read", scene.stream.getReader().read());
  },
  "a reader made by its constructor": (scene) => {
    const reader = new ReadableStreamDefaultReader(scene.stream);
    scene.note(`locked: ${scene.stream.locked}`);
    scene.attempt("getReader", () => scene.stream.getReader());
    scene.watch("read", reader.read());
    scene.watch("closed", reader.closed);
  },
  "cancel twice, then read": async (scene) => {
    const reader = scene.stream.getReader();
    const cancels = [reader.cancel("once"), reader.cancel("twice")];
    scene.note(`two promises: ${cancels[0] !== cancels[1]}`);
    for (const cancel of cancels) scene.watch("cancel", cancel);
    scene.watch("closed", reader.closed);
    scene.watch("read", reader.read());
    await scene.turn();
    scene.note(`locked: ${scene.stream.locked}, waiting: ${scene.waiting}`);
  },
  "cancel of the stream while a reader has it": async (scene) => {
    const reader = scene.stream.getReader();
    scene.watch("cancel", scene.stream.cancel("no"));
    await scene.turn();
    scene.watch("read", reader.read());
  },
  "a lock that is given up while reads are pending": async (scene) => {
    const reader = scene.stream.getReader();
    for (const name of ["first", "second", "third"]) scene.watch(name, reader.read());
    await scene.turn();
    scene.attempt("releaseLock", () => reader.releaseLock());
    scene.note(`locked: ${scene.stream.locked}`);
    await scene.turn();
    scene.put(7, 8, 9);
    await scene.rest();
  },
};

for (const [what, probe] of Object.entries(PROBES)) {
  test(`Like the platform, in whatever state the stream is: ${what}`, async () => {
    for (const [state, prepare] of Object.entries(STATES)) {
      await compare(`${state}, ${what}`, async (scene) => {
        await prepare(scene);
        await scene.turn();
        await probe(scene);
      });
    }
  });
}

likePlatform("the reader is there before whatever happens to the stream", async (scene) => {
  const reader = scene.stream.getReader();
  scene.watch("closed", reader.closed);
  for (let i = 1; i <= 4; i++) scene.watch(`read ${i}`, reader.read());
  await scene.turn();
  scene.put(1);
  await scene.turn();
  scene.put(2, 3);
  await scene.turn();
  scene.fail(scene.error("cause"));
  await scene.turn();
  scene.watch("one more", reader.read());
});

likePlatform("a stream that fails can be locked again, and tells its cause again", async (scene) => {
  const reader = scene.stream.getReader();
  scene.watch("read", reader.read());
  scene.fail(scene.error("cause"));
  await scene.turn();
  reader.releaseLock();
  await scene.rest();
});

test("Like the platform: getReader refuses what it does not know, and leaves the stream unlocked", async () => {
  const options: unknown[] = [undefined, null, {}, { mode: undefined }, { mode: null }, { mode: "" }, { mode: "byob" }];
  for (const given of [...options, { mode: "default" }, { mode: 1 }, 5, "byob"]) {
    await compare(JSON.stringify(given) ?? "undefined", async (scene) => {
      scene.put(1);
      const getReader = scene.stream.getReader.bind(scene.stream) as (options: unknown) => unknown;
      const reader = scene.attempt("getReader", () => getReader(given));
      scene.note(`${reader === undefined ? "none" : "a reader"}, locked: ${scene.stream.locked}`);
      await scene.rest();
    });
  }
});

likePlatform(
  "a reader that brings its own buffer cannot be constructed, and leaves the stream unlocked",
  async (scene) => {
    scene.put(1);
    scene.attempt(
      "new reader",
      () => new ReadableStreamBYOBReader(scene.stream as ReadableStream<Uint8Array<ArrayBuffer>>),
    );
    await scene.rest();
  },
);

likePlatform("two readers in turn lose nothing", async (scene) => {
  scene.put(1, 2, 3, 4);
  for (const name of ["first", "second", "third"]) {
    const reader = scene.stream.getReader();
    scene.watch(name, reader.read());
    await scene.turn();
    reader.releaseLock();
  }
  await scene.rest();
});

likePlatform("one item is taken for each read, and none before", async (scene) => {
  scene.put(1, 2, 3, 4, 5);
  await scene.turn();
  const reader = scene.stream.getReader();
  await scene.turn();
  scene.note(`waiting: ${scene.waiting}`);
  for (let i = 0; i < 2; i++) {
    scene.watch("read", reader.read());
    await scene.turn();
    scene.note(`waiting: ${scene.waiting}`);
  }
  for (let i = 0; i < 2; i++) scene.watch("read", reader.read());
  await scene.turn();
  scene.note(`waiting: ${scene.waiting}`);
});

likePlatform("any value but undefined is an item, also one with a method then", async (scene) => {
  const thenable = { then: () => scene.note("somebody called then()") };
  const items = [0, "", false, null, NaN, Symbol.iterator, thenable, new Error("an item"), Promise.resolve(1)];
  scene.put(...items);
  const reader = scene.stream.getReader();
  for (const item of items) {
    const { value, done } = await reader.read();
    scene.note(`${String(done)}, the same: ${Object.is(scene.item(value), item)}`);
  }
});

likePlatform("what a consumer does from inside its answer to a read", async (scene) => {
  const reader = scene.stream.getReader();
  const read = (name: string, then: () => void) => scene.watch(name, reader.read().then((step) => (then(), step)));
  read("puts", () => scene.put(2));
  scene.put(1);
  await scene.turn();
  read("ends", () => scene.end());
  await scene.turn();
  read("releases", () => reader.releaseLock());
  await scene.turn();
  await scene.rest();
});
