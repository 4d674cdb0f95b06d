/** The branches of a stream of ours, against those of the platform's. */

import { compare, likePlatform, type Scene } from "./platform.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

/** Readers of both branches. */
function teed(scene: Scene): [ReadableStreamDefaultReader<unknown>, ReadableStreamDefaultReader<unknown>] {
  const [left, right] = scene.stream.tee();
  const readers: [ReadableStreamDefaultReader<unknown>, ReadableStreamDefaultReader<unknown>] = [
    left.getReader(),
    right.getReader(),
  ];
  readers.forEach(({ closed }, i) => scene.watch(`closed ${i}`, closed));
  return readers;
}

likePlatform("tee() gives an array of two streams of the platform, and holds the lock", (scene) => {
  const branches = scene.stream.tee();
  scene.note(`an array of ${Array.isArray(branches) && branches.length}, locked: ${scene.stream.locked}`);
  for (const branch of branches) scene.note(`a ReadableStream: ${branch.constructor === ReadableStream}`);
});

likePlatform("one branch is read to its end while nobody reads the other, which has everything then", async (scene) => {
  scene.put(1, 2, 3);
  const [left, right] = teed(scene);
  for (let i = 0; i < 4; i++) {
    scene.watch("left", left.read());
    await scene.turn();
    if (i === 1) scene.end();
  }
  for (let i = 0; i < 4; i++) {
    scene.watch("right", right.read());
    await scene.turn();
  }
});

likePlatform("both branches have the same object", async (scene) => {
  const item = { an: "object" };
  scene.put(item);
  const [left, right] = teed(scene);
  for (const { value } of await Promise.all([left.read(), right.read()])) {
    scene.note(`the same: ${scene.item(value) === item}`);
  }
});

test("Like the platform: a branch holds one item ahead at most, and the slower one decides nothing", async () => {
  for (const reads of [[0, 0], [1, 0], [0, 1], [1, 1], [2, 1], [1, 3], [4, 0]] as const) {
    await compare(`${reads} reads`, async (scene) => {
      scene.put(1, 2, 3, 4, 5, 6);
      const readers = teed(scene);
      await scene.turn();
      scene.note(`waiting: ${scene.waiting}`);
      for (const [i, reader] of readers.entries()) {
        for (let j = 0; j < reads[i]!; j++) {
          scene.watch(`branch ${i}`, reader.read());
          await scene.turn();
        }
      }
      scene.note(`waiting: ${scene.waiting}`);
    });
  }
});

test("Like the platform: how a stream ends is told to both branches at once, read or not, cancelled or not", async () => {
  for (const how of ["end", "fail"] as const) {
    for (const before of ["teed", "items read", "one cancelled", "the other cancelled", "nothing"]) {
      await compare(`${how}, before: ${before}`, async (scene) => {
        const finish = () => how === "end" ? scene.end() : scene.fail(scene.error("cause"));
        if (before === "nothing") finish();
        const [left, right] = teed(scene);
        await scene.turn();
        if (before === "items read") {
          for (const reader of [left, right, left]) scene.watch("read", reader.read());
          scene.put(1, 2);
          await scene.turn();
        }
        if (before === "one cancelled") scene.watch("cancel", left.cancel("enough"));
        if (before === "the other cancelled") scene.watch("cancel", right.cancel("enough"));
        await scene.turn();
        if (before !== "nothing") finish();
        await scene.turn();
        for (const reader of [left, right]) scene.watch("read", reader.read());
        await scene.turn();
        for (const reader of [left, right]) scene.watch("late cancel", reader.cancel("late"));
        await scene.turn();
        scene.note(`locked: ${scene.stream.locked}`);
      });
    }
  }
});

test("Like the platform: cancelling both branches cancels once, with both reasons in the branches' order", async () => {
  for (const order of [[0, 1], [1, 0]] as const) {
    for (const between of ["nothing", "a turn", "reads"]) {
      for (const source of ["resolves", "resolves late", "rejects"]) {
        await compare(`order ${order}, between: ${between}, the source ${source}`, async (scene) => {
          const error = scene.error("source");
          if (source === "resolves late") scene.onCancel = settle;
          if (source === "rejects") scene.onCancel = () => Promise.reject(error);
          scene.put(1, 2, 3);
          const readers = teed(scene);
          await scene.turn();
          scene.watch("one", readers[order[0]].cancel(`reason ${order[0]}`));
          if (between !== "nothing") await scene.turn();
          if (between === "reads") scene.watch("read", readers[order[1]].read());
          if (between === "reads") await scene.turn();
          scene.note("the second is cancelled");
          scene.watch("the other", readers[order[1]].cancel(`reason ${order[1]}`));
          await scene.turn();
          scene.put(4);
          await scene.turn();
          scene.note(`waiting: ${scene.waiting}`);
        });
      }
    }
  }
});

likePlatform("cancelling one branch leaves the other everything", async (scene) => {
  scene.put(1, 2);
  const [left, right] = teed(scene);
  scene.watch("cancel", left.cancel("enough"));
  scene.put(3);
  scene.end();
  for (let i = 0; i < 4; i++) scene.watch("right", right.read());
  await scene.turn();
});

likePlatform("a branch can be teed, piped and iterated over", async (scene) => {
  scene.put(1, 2, 3);
  const [left, right] = scene.stream.tee();
  const [first, second] = left.tee();
  const piped = new WritableStream({ write: (chunk) => scene.note(`first: ${scene.item(chunk)}`) });
  scene.watch("piped", first.pipeTo(piped));
  const loop = async (name: string, stream: ReadableStream<unknown>) => {
    for await (const chunk of stream) scene.note(`${name}: ${scene.item(chunk)}`);
  };
  scene.end();
  await scene.turn();
  scene.watch("second", loop("second", second));
  await scene.turn();
  scene.watch("right", loop("right", right));
  await scene.turn();
});

likePlatform("tee() of what a reader and an iterator have left", async (scene) => {
  scene.put(1, 2, 3, 4);
  const reader = scene.stream.getReader();
  scene.watch("read", reader.read());
  await scene.turn();
  reader.releaseLock();
  const iterator = scene.stream.values({ preventCancel: true });
  scene.watch("next", iterator.next());
  scene.watch("return", iterator.return!());
  await scene.turn();
  const [left, right] = teed(scene);
  for (const branch of [left, right, left]) scene.watch("read", branch.read());
  await scene.turn();
});
