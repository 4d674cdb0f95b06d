/** Gaps that are filled from somewhere else. */
import { assert, assertEquals } from "@std/assert";
import type { StreamOptions } from "../../src/delivery/options.ts";
import { RedisError, TimeoutError } from "../../src/errors.ts";
import type { Gap } from "../../src/message.ts";
import { QueueStream } from "../../src/stream/stream.ts";
import { settle } from "../support/manual_clock.ts";
import { type Log, message, quietly, Scene } from "./backfill_scene.ts";
import { deliver, EPOCH, newDelivery } from "./fake_owner.ts";

quietly("What fills a gap comes in its place, before newer messages, and the first of these tells that", async () => {
  const scene = new Scene();
  deliver(scene.delivery, "1", "2");
  scene.blink("5");
  deliver(scene.delivery, "6");
  assertEquals(scene.take(), ["1", "2"]);
  const gap: Gap = { reasons: ["reconnect"], since: new Date(EPOCH + 5_000), downMs: 1_000, dropped: 0 };
  assertEquals(scene.log.gap, gap);
  await scene.log.gives("3");
  assertEquals(scene.take(), ["3"]);
  await scene.log.gives("4");
  assertEquals(scene.take(), ["4"]);
  deliver(scene.delivery, "7");
  assertEquals([scene.take(), scene.delivery.source.size, scene.delivery.source.state], [[], 0, "open"]);
  await scene.log.ends();
  assertEquals(scene.delivery.source.size, 3);
  assertEquals(scene.delivery.source.take(), { ...message("5"), gap: { ...gap, backfill: "filled" } });
  assertEquals(scene.take(), ["6", "7"]);
  assertEquals([scene.delivery.counts().backfilled, scene.delivery.counts().delivered], [2, 5]);
  assertEquals([scene.owner.clock.pending, scene.owner.errors, scene.log.signal.aborted], [0, [], false]);
});

quietly("A consumer that waits is given what is missing at once, though nothing new comes", async () => {
  const scene = new Scene();
  const taken: string[] = [];
  const stream = new QueueStream(scene.delivery.source);
  const reading = (async () => {
    for await (const { payload, gap } of stream) taken.push(gap === undefined ? payload : `${gap.backfill} ${payload}`);
  })();
  await settle();
  scene.blink();
  await settle();
  await scene.log.gives("1");
  await scene.log.gives("2");
  assertEquals(taken, ["1", "2"]);
  await scene.log.ends();
  deliver(scene.delivery, "3", "4");
  await settle();
  assertEquals([taken, scene.logs.length], [["1", "2", "filled 3", "4"], 1]);
  scene.delivery.end();
  await reading;
});

const FAILURES: readonly [string, (log: Log) => Promise<void>, string][] = [
  ["fails", (log) => log.fails(new Error("the log is away")), "A gap could not be filled"],
  ["fails in our words", (log) => log.fails(new TimeoutError("XRANGE", 1)), "No answer within 1 ms: XRANGE"],
  ["gives a number", (log) => log.gives(5), "A gap could not be filled"],
  ["gives null", (log) => log.gives(null), "A gap could not be filled"],
];

for (const [name, fail, text] of FAILURES) {
  quietly(`When a backfill ${name}, what it gave stays, the gap is unfilled, and the failure is told`, async () => {
    const scene = new Scene();
    scene.blink("3");
    scene.take();
    await scene.log.gives("1");
    assertEquals(scene.take(), ["1"]);
    await fail(scene.log);
    assertEquals(scene.take(), ["unfilled 3"]);
    assertEquals(scene.owner.errors.map((error) => [error instanceof RedisError, error.message]), [[true, text]]);
    assertEquals([scene.log.signal.aborted, scene.owner.clock.pending], [true, 0]);
  });
}

const REFUSALS: readonly [string, () => unknown, number][] = [
  ["throws", () => {
    throw new Error("no log");
  }, 1],
  ["gives a promise", () => Promise.resolve([]), 1],
  ["gives undefined", () => undefined, 0],
  ["gives what is not iterable", () => ({}), 1],
  ["gives an iterable that throws", () => ({
    [Symbol.asyncIterator]: () => {
      throw new Error("no log");
    },
  }), 1],
  ["gives an iterator that throws", () => ({
    [Symbol.asyncIterator]: () => ({
      next: () => {
        throw new Error("no log");
      },
    }),
  }), 1],
];

for (const [name, refuse, errors] of REFUSALS) {
  quietly(`When backfill itself ${name}, the gap is unfilled, at once where it can be`, async () => {
    const scene = new Scene({ backfill: refuse as unknown as NonNullable<StreamOptions<string>["backfill"]> });
    scene.blink("1");
    const taken = scene.take();
    await settle();
    assertEquals([...taken, ...scene.take()], ["unfilled 1"]);
    assertEquals([scene.owner.errors.length, scene.owner.clock.pending], [errors, 0]);
    scene.blink();
    scene.take();
    await settle();
    deliver(scene.delivery, "2");
    assertEquals(scene.take(), ["unfilled 2"]);
  });
}

quietly(
  "A backfill that takes too long is given up, aborted and told, and what it says later is not heard",
  async () => {
    const scene = new Scene({ backfillTimeoutMs: 700 });
    scene.blink("2");
    scene.take();
    scene.owner.clock.pass(400);
    await scene.log.gives("1");
    scene.owner.clock.pass(60_000);
    assertEquals([scene.take(), scene.owner.errors], [["1"], []], "the time of the consumer does not count");
    scene.owner.clock.pass(299);
    assertEquals(scene.take(), []);
    scene.owner.clock.pass(1);
    assertEquals(scene.take(), ["unfilled 2"]);
    const [error] = scene.owner.errors;
    assert(error instanceof TimeoutError);
    assertEquals([error.what, error.ms, scene.log.signal.reason, scene.log.returned], ["backfill", 700, error, 1]);
    await scene.log.gives("late");
    assertEquals([scene.take(), scene.owner.errors.length, scene.log.asked], [[], 1, 2]);
  },
);

quietly("A log that fails because it was aborted tells nothing more", async () => {
  for (const end of ["timeout", "close"]) {
    const scene = new Scene({ backfillTimeoutMs: 10 });
    scene.blink("1");
    scene.take();
    if (end === "timeout") scene.owner.clock.pass(10);
    else {
      scene.delivery.clear();
      scene.delivery.end();
    }
    await scene.log.fails(scene.log.signal.reason);
    assertEquals([scene.owner.errors.length, scene.owner.clock.pending], [end === "timeout" ? 1 : 0, 0]);
  }
});

quietly("A consumer that waits is woken when its backfill is given up", async () => {
  const scene = new Scene({ backfillTimeoutMs: 10 });
  scene.blink("1");
  const reading = new QueueStream(scene.delivery.source).getReader().read();
  await settle();
  scene.owner.clock.pass(10);
  assertEquals((await reading).value?.gap?.backfill, "unfilled");
});

quietly("A backfill reads one message ahead, and no more", async () => {
  const scene = new Scene();
  scene.blink();
  scene.take();
  await scene.log.gives("1");
  await settle();
  assertEquals([scene.log.asked, scene.delivery.source.size], [1, 1]);
  assertEquals([scene.take(), scene.log.asked], [["1"], 2]);
});

quietly("A loss during a backfill is a gap of its own, filled in its own place", async () => {
  const scene = new Scene();
  scene.blink("2");
  scene.take();
  deliver(scene.delivery, "3");
  scene.blink("5");
  await scene.log.gives("1");
  assertEquals(scene.take(), ["1"]);
  await scene.log.ends();
  assertEquals([scene.take(), scene.logs.length], [["filled 2", "3"], 2]);
  await scene.log.gives("4");
  assertEquals(scene.take(), ["4"]);
  await scene.log.ends();
  assertEquals(scene.take(), ["filled 5"]);
});

quietly("While some name is not back the log is not read, and then it is read once, for the whole gap", async () => {
  const scene = new Scene();
  scene.delivery.lost(4_800);
  deliver(scene.delivery, "1", "2");
  assertEquals([scene.take(), scene.logs.length], [[], 0]);
  scene.owner.clock.pass(500);
  scene.delivery.recovered(scene.owner.clock.ms);
  assertEquals(scene.log.gap, { reasons: ["reconnect"], since: new Date(EPOCH + 4_800), downMs: 700, dropped: 0 });
  await scene.log.ends();
  assertEquals([scene.take(), scene.logs.length], [["filled 1", "2"], 1]);
  deliver(scene.delivery, "3");
  assertEquals(scene.take(), ["3"]);
});

quietly("A name that is refused does not keep the others from being filled; its own loss is filled later", async () => {
  const scene = new Scene();
  scene.delivery.lost(5_000);
  deliver(scene.delivery, "1");
  scene.take();
  scene.delivery.recovered(scene.owner.clock.ms, true);
  assertEquals(scene.logs.length, 1);
  await scene.log.ends();
  assertEquals(scene.take(), ["filled 1"]);
  scene.owner.clock.pass(3_000);
  scene.delivery.recovered(scene.owner.clock.ms);
  scene.take();
  assertEquals([scene.logs.length, scene.log.gap.reasons, scene.log.gap.downMs], [2, ["reconnect", "denied"], 3_000]);
});

quietly("A name that does not come back holds a stream up no longer than backfillTimeoutMs", async () => {
  const scene = new Scene({ backfillTimeoutMs: 2_000 });
  scene.delivery.lost(5_000);
  deliver(scene.delivery, "1", "2");
  scene.take();
  scene.owner.clock.pass(2_000);
  assertEquals([scene.take(), scene.logs.length], [["unfilled 1", "2"], 0]);
  await settle();
});

quietly("Newer messages wait within the limits of the stream, and what overflows is filled, too", async () => {
  const scene = new Scene({ maxQueuedMessages: 2 });
  scene.blink("1");
  scene.take();
  deliver(scene.delivery, "2", "3", "4", "5");
  assertEquals([scene.delivery.counts().queued, scene.delivery.counts().dropped], [2, 2]);
  await scene.log.ends();
  assertEquals([scene.take(), scene.log.gap.reasons, scene.log.gap.dropped], [["filled 1"], ["overflow"], 2]);
  for (const payload of ["2", "3"]) {
    await scene.log.gives(payload);
    assertEquals(scene.take(), [payload]);
  }
  await scene.log.ends();
  assertEquals(scene.take(), ["filled 4", "5"]);
});

quietly("A stream that blocks stops the socket while its gap is filled", async () => {
  const scene = new Scene({ overflow: "block", maxQueuedMessages: 2 });
  scene.blink("1");
  scene.take();
  deliver(scene.delivery, "2", "3");
  assertEquals(scene.owner.fullness, [true]);
  await scene.log.ends();
  assertEquals([scene.take(), scene.owner.fullness], [["filled 1", "2", "3"], [true, false]]);
});

quietly("What drop-newest left out is filled when the rest is taken", async () => {
  const scene = new Scene({ overflow: "drop-newest", maxQueuedMessages: 1 });
  deliver(scene.delivery, "1", "2", "3");
  assertEquals([scene.take(), scene.log.gap.dropped], [["1"], 2]);
  await scene.log.gives("2");
  assertEquals(scene.take(), ["2"]);
  await scene.log.ends();
  deliver(scene.delivery, "4");
  assertEquals(scene.take(), ["filled 4"]);
});

quietly("With latest what was replaced is not asked for, what a lost connection cost is", async () => {
  const scene = new Scene({ overflow: "latest" });
  deliver(scene.delivery, "1", "2");
  assertEquals([scene.take(), scene.logs.length], [["open 2"], 0]);
  scene.blink("3");
  deliver(scene.delivery, "4");
  scene.take();
  assertEquals(scene.log.gap.reasons, ["reconnect", "overflow"]);
  await scene.log.ends();
  assertEquals(scene.take(), ["filled 4"]);
});

quietly("A gap that is filled meets a new one: only the new one is left to fill", async () => {
  const scene = new Scene();
  scene.blink();
  scene.take();
  await scene.log.ends();
  scene.blink();
  scene.take();
  assertEquals([scene.logs.length, scene.log.gap.since.getTime()], [2, EPOCH + 6_000]);
  await scene.log.fails(new Error("away"));
  scene.blink("1");
  scene.take();
  const { since, downMs } = scene.log.gap;
  assertEquals(
    [scene.logs.length, since.getTime(), downMs],
    [3, EPOCH + 6_000, 2_000],
    "what was not filled is tried again",
  );
  await scene.log.ends();
  assertEquals(scene.take(), ["filled 1"]);
});

quietly("A stream of batches and a pipe are filled, too", async () => {
  const logged = async function* () {
    yield* [message("1"), message("2")];
  };
  const { delivery, owner } = newDelivery({ backfill: logged });
  delivery.lost(5_000);
  delivery.recovered(owner.clock.ms);
  deliver(delivery, "3", "4");
  delivery.end();
  const piped: string[] = [];
  await new QueueStream(delivery.source).pipeTo(
    new WritableStream({ write: ({ payload }) => void piped.push(payload) }),
  );
  assertEquals([piped, owner.clock.pending], [["1", "2", "3", "4"], 0]);
});
