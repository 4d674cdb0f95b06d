/** Streams that end while a gap is filled, or before. */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { Delivery } from "../../src/delivery/delivery.ts";
import { RedisError } from "../../src/errors.ts";
import { QueueStream } from "../../src/stream/stream.ts";
import { settle } from "../support/manual_clock.ts";
import { Log, quietly, Scene } from "./backfill_scene.ts";
import { deliver } from "./fake_owner.ts";

type End = (delivery: Delivery<string>) => unknown;
const ENDS: Readonly<Record<"cancel" | "close", End>> = {
  cancel: (delivery) => delivery.source.cancel("enough"),
  close: (delivery) => {
    delivery.clear();
    delivery.end();
  },
};

for (const [name, end] of Object.entries(ENDS)) {
  quietly(`${name} aborts a backfill, drops what waits, and leaves nothing, in whatever phase`, async () => {
    const phases: readonly ((scene: Scene) => Promise<void> | void)[] = [
      () => {},
      (scene) => scene.blink(),
      (scene) => scene.delivery.lost(5_000),
      async (scene) => await scene.log.gives("1"),
      async (scene) => await scene.log.ends(),
      async (scene) => await scene.log.fails(new Error("away")),
    ];
    for (const [i, phase] of phases.entries()) {
      for (const closed of ["before", "after"]) {
        const scene = new Scene();
        const stream = new QueueStream(scene.delivery.source);
        if (i >= 3) scene.blink("2");
        if (i === 2) {
          phase(scene);
          deliver(scene.delivery, "2");
        }
        scene.delivery.source.takeMany(i === 0 ? 0 : 9);
        if (i !== 2) await phase(scene);
        const idle = scene.delivery.drained();
        await settle();
        const reader = closed === "before" ? stream.getReader() : undefined;
        await end(scene.delivery);
        await idle;
        assertEquals((await (reader ?? stream.getReader()).read()).done, true, `phase ${i}`);
        const { source } = scene.delivery;
        assertEquals([source.size, source.state, scene.take(), scene.owner.clock.pending], [0, "ended", [], 0]);
        if (i === 3) assertEquals([scene.log.signal.aborted, scene.log.returned, scene.owner.errors], [true, 1, []]);
      }
    }
  });
}

quietly("A stream that ends goes on being filled, delivers what waits, and is drained after that", async () => {
  for (const [failed, more] of [[false, ["3"]], [true, ["3"]], [false, []]] as const) {
    const scene = new Scene();
    const stream = new QueueStream(scene.delivery.source);
    scene.blink("2");
    deliver(scene.delivery, ...more);
    scene.take();
    await scene.log.gives("1");
    if (failed) scene.delivery.fail(new RedisError("gone"));
    else scene.delivery.end();
    let state = "waits";
    const drained = scene.delivery.drained().then(() => state = "drained");
    const taken: string[] = [];
    const reading = (async () => {
      for await (const { payload } of stream) taken.push(payload);
    })();
    await settle();
    assertEquals([taken, state], [["1"], "waits"]);
    reading.catch(() => {});
    await scene.log.ends();
    await drained;
    if (failed) await assertRejects(() => reading, RedisError, "gone");
    else await reading;
    assertEquals(taken, ["1", "2", ...more]);
  }
});

quietly("A stream is drained only when the message behind the gap is taken, too", async () => {
  const scene = new Scene();
  scene.blink("1");
  scene.take();
  await scene.log.ends();
  scene.delivery.end();
  let state = "waits";
  const drained = scene.delivery.drained().then(() => state = "drained");
  await settle();
  assertEquals([state, scene.take()], ["waits", ["filled 1"]]);
  await drained;
});

quietly(
  "A stream that nobody reads now is closed all the same when it has ended and its last gap is filled",
  async () => {
    const idle = new Scene();
    const reader = new QueueStream(idle.delivery.source).getReader();
    idle.delivery.end();
    await reader.closed;
    const scene = new Scene();
    const filled = new QueueStream(scene.delivery.source).getReader();
    scene.blink();
    const first = filled.read();
    await settle();
    scene.delivery.end();
    await scene.log.gives("1");
    assertEquals((await first).value?.payload, "1");
    await scene.log.ends();
    await filled.closed;
  },
);

quietly("A stream that ends while some name is not back is filled as far as it can be", async () => {
  const scene = new Scene();
  scene.delivery.lost(5_000);
  deliver(scene.delivery, "1");
  scene.take();
  scene.delivery.end();
  assertEquals(scene.logs.length, 1);
  await scene.log.ends();
  assertEquals([scene.take(), scene.delivery.source.state], [["filled 1"], "ended"]);
});

quietly("A stream whose last gap has no message behind it is filled before it ends", async () => {
  const scene = new Scene();
  const stream = new QueueStream(scene.delivery.source);
  deliver(scene.delivery, "1");
  scene.blink();
  scene.delivery.end();
  const reader = stream.getReader();
  const drained = scene.delivery.drained();
  assertEquals((await reader.read()).value?.payload, "1");
  const next = reader.read();
  await settle();
  await scene.log.gives("2");
  assertEquals((await next).value?.payload, "2");
  const last = reader.read();
  await scene.log.ends();
  assertEquals((await last).done, true);
  await Promise.all([drained, reader.closed]);
});

quietly("A backfill that ends the stream in the middle of being asked is not asked further", async () => {
  const scene: Scene = new Scene({
    backfill: (gap, signal) => {
      const log = new Log(gap, signal);
      scene.logs.push(log);
      scene.delivery.clear();
      scene.delivery.end();
      return log;
    },
  });
  scene.blink("1");
  assertEquals([scene.take(), scene.log.asked, scene.log.signal.aborted], [[], 0, true]);
  assertStrictEquals(scene.delivery.source.state, "ended");
  await settle();
});
