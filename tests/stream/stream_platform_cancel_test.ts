/** Cancelling a stream of ours, against cancelling one of the platform's. */

import { compare, likePlatform, type Scene } from "./platform.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

/** Who can cancel a stream. */
const CANCELLERS: Record<string, (scene: Scene) => (reason: unknown) => Promise<unknown>> = {
  "the stream": (scene) => (reason) => scene.stream.cancel(reason),
  "a reader": (scene) => {
    const reader = scene.stream.getReader();
    scene.watch("closed", reader.closed);
    return (reason) => reader.cancel(reason);
  },
  "a reader with reads that are pending": (scene) => {
    const reader = scene.stream.getReader();
    for (let i = 0; i < 3; i++) scene.watch(`read ${i}`, reader.read());
    return (reason) => reader.cancel(reason);
  },
  "an iterator": (scene) => {
    const iterator = scene.stream.values();
    return (reason) => iterator.return!(reason);
  },
  "a branch, after the other": (scene) => {
    const [left, right] = scene.stream.tee();
    return (reason) => {
      scene.watch("the other", left.cancel("first"));
      return right.cancel(reason);
    };
  },
  "a transform": (scene) => {
    const through = scene.stream.pipeThrough(new TransformStream());
    return (reason) => through.cancel(reason);
  },
};

const STATES: Record<string, (scene: Scene) => void> = {
  "open and empty": () => {},
  "open, with items": (scene) => scene.put(1, 2, 3, 4, 5),
  "ended": (scene) => scene.end(),
  "ended, with items": (scene) => {
    scene.put(1, 2, 3, 4, 5);
    scene.end();
  },
  "failed": (scene) => scene.fail(scene.error("cause")),
  "cancelled before": (scene) => scene.watch("the first", scene.stream.cancel("early")),
};

/** What the source does when it hears of it. */
const SOURCES: Record<string, (scene: Scene) => void> = {
  "which returns a value": (scene) => scene.onCancel = () => "a value",
  "which is slow": (scene) => {
    scene.onCancel = async () => {
      await settle();
      scene.note(`source: has let go, locked: ${scene.stream.locked}`);
    };
  },
  "which throws": (scene) => {
    const error = scene.error("source");
    scene.onCancel = () => {
      throw error;
    };
  },
  "which rejects late": (scene) => {
    const error = scene.error("source");
    scene.onCancel = async () => {
      await settle();
      throw error;
    };
  },
};

for (const [who, canceller] of Object.entries(CANCELLERS)) {
  test(`Like the platform: ${who} cancels a stream in whatever state, and its source in whatever way`, async () => {
    for (const [state, prepare] of Object.entries(STATES)) {
      for (const [how, source] of Object.entries(SOURCES)) {
        await compare(`${state}, source ${how}`, async (scene) => {
          source(scene);
          prepare(scene);
          await scene.turn();
          const cancel = canceller(scene);
          await scene.turn();
          scene.watch("cancel", cancel("enough"));
          scene.note(`locked: ${scene.stream.locked}`);
          await scene.turn();
          await scene.turn();
          scene.put(7);
          scene.end();
          await scene.turn();
          await scene.rest();
        });
      }
    }
  });
}

test("Like the platform: whatever a source does while it is cancelled is harmless", async () => {
  const deeds: Record<string, (scene: Scene) => unknown> = {
    "puts": (scene) => scene.put(7),
    "ends": (scene) => scene.end(),
    "fails": (scene) => scene.fail(scene.error("cause")),
    "cancels": (scene) => scene.watch("cancel in cancel", scene.stream.cancel("again")),
    "asks for a reader": (scene) =>
      void scene.attempt("getReader in cancel", () => scene.stream.getReader().releaseLock()),
    "looks at the lock": (scene) => scene.note(`locked in cancel: ${scene.stream.locked}`),
  };
  for (const [deed, run] of Object.entries(deeds)) {
    for (const who of ["the stream", "a reader with reads that are pending", "an iterator"]) {
      await compare(`it ${deed}, ${who} cancels`, async (scene) => {
        scene.onCancel = () => run(scene);
        const cancel = CANCELLERS[who]!(scene);
        await scene.turn();
        scene.watch("cancel", cancel("enough"));
        await scene.turn();
        await scene.rest();
      });
    }
  }
});

likePlatform("cancel() while an item is on its way, and whatever is put afterwards", async (scene) => {
  const reader = scene.stream.getReader();
  scene.watch("read", reader.read());
  scene.watch("another read", reader.read());
  await scene.turn();
  scene.put(1);
  await scene.turn();
  scene.watch("cancel", reader.cancel("enough"));
  scene.put(2);
  await scene.turn();
  scene.watch("third read", reader.read());
  scene.put(3);
  await scene.turn();
  scene.note(`waiting: ${scene.waiting}`);
}, { against: ["pulled"] });

likePlatform("cancel() before anything else happened", async (scene) => {
  scene.put(1);
  scene.watch("cancel", scene.stream.cancel());
  scene.watch("closed", scene.stream.getReader().closed);
  await scene.turn();
});

likePlatform("cancel() after a reader left a read behind", async (scene) => {
  const reader = scene.stream.getReader();
  scene.watch("read", reader.read());
  await scene.turn();
  reader.releaseLock();
  scene.put(1, 2);
  await scene.turn();
  scene.watch("cancel", scene.stream.cancel("enough"));
  scene.put(3);
  await scene.rest();
});

likePlatform("the reason of a cancel is what was given, of whatever type", async (scene) => {
  const reason = { why: "an object" };
  scene.onCancel = (given) => scene.note(`the same: ${given === reason}`);
  scene.watch("cancel", scene.stream.cancel(reason));
  await scene.turn();
});
