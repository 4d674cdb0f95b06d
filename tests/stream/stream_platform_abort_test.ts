/** Signals that abort the piping of a stream of ours, against the platform's. */

import { assertEquals } from "@std/assert";
import { byTurn, compare, likePlatform, PIPES_DIFFER, type Scene } from "./platform.ts";
import { settle } from "../support/manual_clock.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";

const SIGNAL_IN_THE_MIDDLE =
  "Like the platform: a signal in the middle, and with preventCancel every item is written or left, once";

const FLAGS: readonly StreamPipeOptions[] = [
  {},
  { preventAbort: true },
  { preventCancel: true },
  { preventAbort: true, preventCancel: true },
];

const SOURCES: Record<string, (scene: Scene) => void> = {
  "open, with items": (scene) => scene.put(1, 2, 3),
  "open and empty": () => {},
  "ended": (scene) => scene.end(),
  "failed": (scene) => scene.fail(scene.error("cause")),
};

const SINKS: Record<string, (scene: Scene) => WritableStream<unknown> | Promise<WritableStream<unknown>>> = {
  "a good sink": (scene) => scene.sink(),
  "a sink that fails to abort": (scene) => scene.sink({ abort: () => Promise.reject(scene.error("abort")) }),
  "a sink that has failed": async (scene) => {
    const failed = scene.sink({ start: (controller) => controller.error(scene.error("sink")) });
    await settle();
    return failed;
  },
  "a sink that is closed": async (scene) => {
    const closed = scene.sink();
    await closed.close();
    return closed;
  },
};

for (const when of ["before", "later"] as const) {
  const title = when === "before" ? "a signal that is aborted before" : "a signal that is aborted when all is at rest";
  testUnless(PIPES_DIFFER, `Like the platform: ${title}, whatever source, sink and options`, async () => {
    for (const [state, source] of Object.entries(SOURCES)) {
      for (const [where, makeSink] of Object.entries(SINKS)) {
        for (const options of FLAGS) {
          for (const onCancel of ["resolves", "rejects"]) {
            await compare(`${state}, ${where}, ${JSON.stringify(options)}, cancel ${onCancel}`, async (scene) => {
              if (onCancel === "rejects") scene.onCancel = () => Promise.reject(scene.error("cancel"));
              const abort = new AbortController();
              source(scene);
              const destination = await makeSink(scene);
              await scene.turn();
              if (when === "before") abort.abort(scene.error("reason"));
              scene.watch("piped", scene.stream.pipeTo(destination, { ...options, signal: abort.signal }));
              await scene.turn();
              abort.abort(scene.error("reason"));
              await scene.turn();
              scene.note(`locked: ${scene.stream.locked}, ${destination.locked}`);
              scene.put(7);
              await scene.rest();
            });
          }
        }
      }
    }
  });
}

likePlatform("without a reason it is an AbortError", async (scene) => {
  scene.put(1);
  const abort = new AbortController();
  scene.watch("piped", scene.stream.pipeTo(scene.sink(), { signal: abort.signal }));
  await scene.turn();
  abort.abort();
  await scene.turn();
});

/** Numbers that were written, and those that were left. */
function seen(lines: readonly string[]): number[] {
  return lines.flatMap((line) => /^sink: write (\d+)|^rest: item (\d+)/.exec(line)?.slice(1) ?? [])
    .filter(Boolean).map(Number);
}

testUnless(PIPES_DIFFER, SIGNAL_IN_THE_MIDDLE, async () => {
  for (const writes of ["at once", "slowly", "when told"]) {
    for (const highWaterMark of [0, 1, 3]) {
      for (const waiting of [0, 1, 3]) {
        for (const turns of [0, 1, 3]) {
          for (const options of FLAGS) {
            const what = `writes ${writes}, ${highWaterMark} ahead, ${waiting} items, ${JSON.stringify(options)}`;
            await compare(what, async (scene) => {
              const abort = new AbortController();
              let tell = () => {};
              const told = new Promise<void>((resolve) => tell = resolve);
              const write = () => writes === "at once" ? undefined : writes === "slowly" ? settle() : told;
              for (let i = 0; i < waiting; i++) scene.put(i);
              const piped = scene.stream.pipeTo(scene.sink({ write }, highWaterMark), {
                ...options,
                signal: abort.signal,
              });
              scene.watch("piped", piped);
              for (let i = 0; i < turns; i++) await settle();
              abort.abort(scene.error("enough"));
              await settle();
              tell();
              for (let i = 0; i < 5; i++) await settle();
              scene.note("—");
              scene.put(waiting);
              await scene.rest();
              if (!options.preventCancel) return;
              assertEquals(seen(scene.lines), Array.from({ length: waiting + 1 }, (_, i) => i), what);
              // The platform's own queue gives a pipe several items at once; a pull gives it one.
            }, { against: ["pulled"], allow: byTurn });
          }
        }
      }
    }
  }
});

likePlatform("a signal while a pipe waits for an item: the item goes to the next consumer", async (scene) => {
  const abort = new AbortController();
  const options = { preventCancel: true, signal: abort.signal };
  scene.watch("piped", scene.stream.pipeTo(scene.sink(), options));
  await scene.turn();
  abort.abort(scene.error("enough"));
  await scene.turn();
  scene.put(1, 2);
  await scene.turn();
  scene.put(3);
  const iterator = scene.stream.values();
  for (let i = 0; i < 4; i++) scene.watch("next", iterator.next());
  await scene.turn();
});

test("Like the platform: a signal that comes after the source or the sink has finished changes nothing", async () => {
  for (const how of ["end", "fail", "sink fails"]) {
    await compare(how, async (scene) => {
      const abort = new AbortController();
      let fail = (_: unknown) => {};
      const destination = scene.sink({ start: (controller) => void (fail = (error) => controller.error(error)) });
      const options = { preventCancel: true, preventAbort: true, preventClose: true, signal: abort.signal };
      scene.watch("piped", scene.stream.pipeTo(destination, options));
      await scene.turn();
      if (how === "end") scene.end();
      else if (how === "fail") scene.fail(scene.error("cause"));
      else fail(scene.error("sink"));
      await scene.turn();
      abort.abort(scene.error("late"));
      await scene.turn();
      scene.note(`locked: ${scene.stream.locked}, ${destination.locked}`);
      scene.watch("ready", destination.getWriter().ready);
      await scene.rest();
    });
  }
});

likePlatform("a signal aborts what is piped through a transform", async (scene) => {
  scene.put(1, 2);
  const abort = new AbortController();
  const through = scene.stream.pipeThrough(new TransformStream(), { signal: abort.signal });
  const reader = through.getReader();
  scene.watch("read", reader.read());
  await scene.turn();
  abort.abort(scene.error("enough"));
  await scene.turn();
  scene.watch("another read", reader.read());
  await scene.rest();
});
