/** Piping a stream of ours, against piping one of the platform's. */

import { compare, likePlatform, PIPES_DIFFER, type Scene } from "./platform.ts";
import { settle } from "../support/manual_clock.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";

type Sink = (scene: Scene) => WritableStream<unknown> | Promise<WritableStream<unknown>>;

const SINKS: Record<string, Sink> = {
  "takes everything": (scene) => scene.sink(),
  "is slow": (scene) => scene.sink({ write: settle }),
  "takes three ahead": (scene) => scene.sink({ write: settle }, 3),
  "fails at a write": (scene) => scene.sink({ write: () => Promise.reject(scene.error("write")) }),
  "fails at the second write, late": (scene) => {
    const error = scene.error("write");
    return scene.sink({
      write: async (chunk) => {
        await settle();
        if (scene.item(chunk) === 2) throw error;
      },
    });
  },
  "fails to close and to abort": (scene) => {
    const error = scene.error("sink");
    return scene.sink({ close: () => Promise.reject(error), abort: () => Promise.reject(error) });
  },
  "has failed": async (scene) => {
    const failed = scene.sink({ start: (controller) => controller.error(scene.error("sink")) });
    await settle();
    return failed;
  },
  "is closed": async (scene) => {
    const closed = scene.sink();
    await closed.close();
    return closed;
  },
  "wants nothing, then fails": (scene) => {
    const error = scene.error("sink");
    let controller: WritableStreamDefaultController | undefined;
    void settle().then(settle).then(settle).then(() => controller?.error(error));
    return scene.sink({ start: (made) => void (controller = made) }, 0);
  },
};

const SOURCES: Record<string, (scene: Scene) => void | Promise<void>> = {
  "has ended": (scene) => scene.end(),
  "has failed": (scene) => scene.fail(scene.error("cause")),
  "has items, then ends": (scene) => {
    scene.put(1, 2, 3);
    scene.end();
  },
  "stays open, with items": (scene) => scene.put(1, 2, 3),
  "gets an item, then ends": async (scene) => {
    await settle();
    scene.put(1);
    await settle();
    scene.end();
  },
  "gets an item, then fails": async (scene) => {
    await settle();
    scene.put(1);
    await settle();
    await settle();
    if (scene.waiting === 0) scene.fail(scene.error("cause"));
  },
};

const ALL_FLAGS: readonly StreamPipeOptions[] = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  preventClose: (bits & 1) > 0,
  preventAbort: (bits & 2) > 0,
  preventCancel: (bits & 4) > 0,
}));

for (const [destination, makeSink] of Object.entries(SINKS)) {
  const title = `Like the platform: piping from whatever source, whatever is prevented, to a sink that ${destination}`;
  testUnless(PIPES_DIFFER, title, async () => {
    for (const [state, source] of Object.entries(SOURCES)) {
      for (const options of ALL_FLAGS) {
        for (const onCancel of options.preventCancel ? ["resolves"] : ["resolves", "rejects"]) {
          await compare(`${state}, ${JSON.stringify(options)}, cancel ${onCancel}`, async (scene) => {
            if (onCancel === "rejects") scene.onCancel = () => Promise.reject(scene.error("cancel"));
            const destination = await makeSink(scene);
            const fed = source(scene);
            scene.watch("piped", scene.stream.pipeTo(destination, options));
            scene.note(`locked: ${scene.stream.locked}, ${destination.locked}`);
            await fed;
            await scene.turn();
            await scene.turn();
            await scene.turn();
            scene.note(`locked: ${scene.stream.locked}, ${destination.locked}, waiting: ${scene.waiting}`);
            await scene.rest();
          });
        }
      }
    }
  });
}

test("Like the platform: the end and the failure of a source wait for the write before them", async () => {
  for (const how of ["end", "fail"] as const) {
    for (const options of ALL_FLAGS.slice(0, 4)) {
      await compare(`${how}, ${JSON.stringify(options)}`, async (scene) => {
        let written = () => {};
        const write = () => new Promise<void>((resolve) => written = resolve);
        scene.watch("piped", scene.stream.pipeTo(scene.sink({ write }), options));
        scene.put(1);
        await scene.turn();
        if (how === "end") scene.end();
        else scene.fail(scene.error("cause"));
        await scene.turn();
        scene.note("the write is over");
        written();
        await scene.turn();
      });
    }
  }
});

likePlatform("a sink that takes one item at a time holds the source back: nothing is taken ahead", async (scene) => {
  scene.put(1, 2, 3, 4);
  let written = () => {};
  const write = () => new Promise<void>((resolve) => written = resolve);
  scene.watch("piped", scene.stream.pipeTo(scene.sink({ write })));
  for (let i = 0; i < 5; i++) {
    await scene.turn();
    scene.note(`waiting: ${scene.waiting}`);
    written();
  }
  scene.end();
  await scene.turn();
});

likePlatform("pipeTo() refuses a stream or a sink that is locked, or no sink, and locks nothing", async (scene) => {
  const pipeTo = (what: string, given: unknown) => {
    scene.watch(what, scene.stream.pipeTo(given as WritableStream<unknown>));
    scene.note(`locked: ${scene.stream.locked}`);
  };
  for (const given of [undefined, null, {}, Object.create(WritableStream.prototype)]) pipeTo("no sink", given);
  const locked = scene.sink();
  locked.getWriter();
  pipeTo("a locked sink", locked);
  await scene.turn();
  const reader = scene.stream.getReader();
  const free = scene.sink();
  pipeTo("a locked stream", free);
  await scene.turn();
  scene.note(`the sink is locked: ${free.locked}`);
  reader.releaseLock();
  scene.put(1);
  await scene.rest();
});

const OPTIONS = ["preventAbort", "preventCancel", "preventClose", "signal"] as const;

test("Like the platform: options whose getters throw, and signals that are none, are refused; nothing is locked", async () => {
  const throwing = OPTIONS.map((name) => (error: Error): StreamPipeOptions =>
    Object.defineProperty({}, name, {
      get: () => {
        throw error;
      },
    })
  );
  const notASignal = [null, "AbortSignal", true, -1, {}, Object.create(AbortSignal.prototype)].map((signal) => () =>
    ({ signal }) as StreamPipeOptions
  );
  for (const [i, given] of [...throwing, ...notASignal].entries()) {
    await compare(`options ${i}`, async (scene) => {
      const error = scene.error("getter");
      scene.watch("piped", scene.stream.pipeTo(scene.sink(), given(error)));
      await scene.turn();
      const through = new TransformStream();
      scene.attempt("through", () => scene.stream.pipeThrough(through, given(error)));
      scene.note(`locked: ${scene.stream.locked}, ${through.writable.locked}`);
      scene.put(1);
      await scene.rest();
    });
  }
});

likePlatform("piping leaves what a reader and an iterator have read, and the next pipe goes on", async (scene) => {
  scene.put(1, 2, 3, 4);
  const iterator = scene.stream.values({ preventCancel: true });
  scene.watch("next", iterator.next());
  scene.watch("return", iterator.return!());
  await scene.turn();
  const abort = new AbortController();
  const options = { preventCancel: true, signal: abort.signal };
  const once = scene.sink({ write: () => abort.abort(scene.error("enough")) });
  scene.watch("first pipe", scene.stream.pipeTo(once, options));
  await scene.turn();
  scene.watch("second pipe", scene.stream.pipeTo(scene.sink()));
  scene.end();
  await scene.turn();
});
