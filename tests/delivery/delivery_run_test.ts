/** A run of several messages is put in at once where there is nothing to tell: that must be what one by one gives. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Hub } from "../../src/client/hub.ts";
import type { Delivery } from "../../src/delivery/delivery.ts";
import type { StreamOptions } from "../../src/delivery/options.ts";
import { add } from "../support/hub.ts";
import { KnownTopics, message, runOf } from "../support/run.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { type Run, SPAN_BYTES } from "../../src/run/run.ts";
import { test } from "../support/test.ts";
import { type FakeOwner, newDelivery, takeAll } from "./fake_owner.ts";

/** How messages come: in one run, in one that waits until it is asked, or in a run for each. */
type How = "at once" | "on demand" | "one by one";

/** A stream that has the channels a and b, and another one that has c. */
class Stage {
  readonly delivery: Delivery<string>;
  readonly owner: FakeOwner;
  readonly other = newDelivery().delivery;
  readonly hub = new Hub({ desired: new Desired(), want() {}, drop() {} });
  readonly #topics = new KnownTopics();

  constructor(options: StreamOptions<string>) {
    ({ delivery: this.delivery, owner: this.owner } = newDelivery(options));
    for (const name of ["a", "b"]) add(this.hub, this.delivery, { kind: "channel", name });
    add(this.hub, this.other, { kind: "channel", name: "c" });
  }

  /** On demand, what is not asked for stays where it was read, until {@linkcode goOn}. */
  receive(texts: readonly string[], how: How): Run | undefined {
    const messages = texts.map((text) => message(text.slice(0, 1), text));
    for (const some of how === "one by one" ? messages.map((one) => [one]) : [messages]) {
      const run = runOf(some, this.#topics);
      this.hub.deliver(run);
      if (how !== "on demand") this.goOn(run);
      else {
        run.more = () => {
          run.state = "flowing";
          this.hub.deliver(run);
        };
        return run;
      }
    }
  }

  /** As a connection does whom nobody has asked. */
  goOn(run: Run): void {
    for (let taken = -1; run.taken > taken && run.taken < run.count;) {
      taken = run.taken;
      run.state = "flowing";
      this.hub.deliver(run);
    }
    assertEquals(run.taken, run.count);
  }

  /** All that anybody can see of it. */
  get state(): unknown {
    const { overflows, fullness, turns, errors } = this.owner;
    return [this.delivery.counts(), this.other.counts(), overflows, fullness, turns, errors];
  }
}

test("A run is put in at once: each message to its stream, in order, and what nobody has is passed over", () => {
  const stage = new Stage({});
  stage.receive(["a1", "b2", "c3", "d4", "a5", "c6", "c7", "b8"], "at once");
  assertEquals(takeAll(stage.delivery), ["a1", "b2", "a5", "b8"]);
  assertEquals(takeAll(stage.other), ["c3", "c6", "c7"]);
});

test("A name that another stream joins in between is no longer this stream's alone", () => {
  const stage = new Stage({});
  stage.receive(["a1", "b2"], "at once");
  add(stage.hub, stage.other, { kind: "channel", name: "b" });
  stage.receive(["a3", "b4", "a5"], "at once");
  assertEquals([takeAll(stage.delivery), takeAll(stage.other)], [["a1", "b2", "a3", "b4", "a5"], ["b4"]]);
});

type Step =
  | { readonly type: "run"; readonly texts: readonly string[] }
  | { readonly type: "take"; readonly count: number }
  | { readonly type: "lost" | "recovered" };

const text = fc.tuple(fc.constantFrom(..."aaaabbcd"), fc.integer({ min: 0, max: 40 })).map(([name, size]) => {
  return name + "x".repeat(size);
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("run" as const), texts: fc.array(text, { maxLength: 30 }) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("take" as const), count: fc.nat({ max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("lost" as const, "recovered" as const) }) },
);
const options: fc.Arbitrary<StreamOptions<string>> = fc.record({
  overflow: fc.constantFrom("drop-oldest", "drop-newest", "latest", "block", "error"),
  maxQueuedMessages: fc.constantFrom(1, 5, 31, 32, 33, 100, 65_536),
  maxQueuedBytes: fc.constantFrom(50, 16_384, 16_385, 17_000, 1_000_000),
});

test("Whatever happens, a run at once is what its messages are one by one", () => {
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 30 }), (options, steps) => {
      const [whole, apart] = [new Stage(options), new Stage(options)];
      for (const step of steps) {
        for (const stage of [whole, apart]) {
          const { delivery, owner } = stage;
          if (step.type === "run") stage.receive(step.texts, stage === whole ? "at once" : "one by one");
          if (step.type === "lost") delivery.lost(owner.clock.now());
          if (step.type === "recovered") delivery.recovered(owner.clock.now());
          owner.clock.pass(1);
        }
        if (step.type === "take") assertEquals(taken(whole, step.count), taken(apart, step.count));
        assertEquals(whole.state, apart.state);
      }
      assertEquals(takeAll(whole.delivery), takeAll(apart.delivery));
    }),
    { numRuns: 300 },
  );
});

test("What is taken on demand is what is taken when all of it has come, in the same order, and no more than is asked for", () => {
  const most = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(fc.array(fc.array(text, { maxLength: 30 }), { maxLength: 5 }), most, (runs, most) => {
      const [onDemand, apart] = [new Stage({}), new Stage({})];
      const got: unknown[] = [];
      const others: unknown[] = [];
      for (const stage of [onDemand, apart]) assertEquals(stage.delivery.take(), undefined);
      for (const texts of runs) {
        apart.receive(texts, "one by one");
        const run = onDemand.receive(texts, "on demand")!;
        for (const count of most) {
          const { delivery } = onDemand;
          const some = count === 0 ? [delivery.take()].filter((one) => one !== undefined) : delivery.takeMany(count);
          assert(some.length <= Math.max(1, count));
          got.push(...some.map(({ payload }) => payload));
          assertEquals(delivery.counts().delivered, got.length);
        }
        onDemand.goOn(run);
        others.push(...takeAll(onDemand.other));
      }
      got.push(...takeAll(onDemand.delivery));
      assertEquals(got, takeAll(apart.delivery));
      assertEquals(others, takeAll(apart.other));
      assertEquals(onDemand.delivery.counts(), apart.delivery.counts());
    }),
    { numRuns: 500 },
  );
});

const TEN = Array.from({ length: 10 }, (_, i) => `a${i}`);

/** What a consumer that waits is given of a run: nobody has asked for what is behind it. */
function quick(options: StreamOptions<string> = {}): Stage {
  const stage = new Stage(options);
  assertEquals(stage.delivery.take(), undefined);
  return stage;
}

test("A consumer that has left nothing is given a group of messages, those behind it when it asks", () => {
  const stage = quick();
  const long = "x".repeat(SPAN_BYTES / 4);
  const run = stage.receive(Array.from({ length: 40 }, (_, i) => `a${i}${long}`), "on demand")!;
  assertEquals([run.state, run.taken < run.count], ["resting", true]);
  const { taken } = run;
  for (let i = 0; i < taken; i++) assertEquals(stage.delivery.take()?.payload.slice(0, -long.length), `a${i}`);
  assertEquals([run.taken, stage.delivery.counts().queued], [taken, 0], "not before it asks");
  assertEquals(takeAll(stage.delivery).length, 40 - taken);
});

test("A batch is all that has come, as far as it may hold that, also where it has come in several groups", () => {
  const stage = quick();
  const long = "x".repeat(SPAN_BYTES / 4);
  stage.receive(Array.from({ length: 40 }, (_, i) => `a${i}${long}`), "on demand");
  assertEquals(stage.delivery.takeMany(30).length, 30);
  assertEquals(stage.delivery.takeMany(30).length, 10);
  assertEquals(stage.delivery.takeMany(30).length, 0);
});

test("A batch takes the last of a read with the others, however few they are", () => {
  const stage = quick();
  const texts = Array.from({ length: 40 }, (_, i) => `a${i}${"x".repeat(SPAN_BYTES / 4)}`);
  const { taken } = stage.receive(texts, "on demand")!;
  assertEquals(stage.delivery.takeMany(100).length, 40);
  stage.delivery.take();
  stage.receive(texts.slice(0, 2 * taken + 1), "on demand");
  assertEquals(stage.delivery.takeMany(100).length, 2 * taken + 1);
});

test("A little that waits goes before a group, as a part of it, and keeps its weight", () => {
  const texts = Array.from({ length: 40 }, (_, i) => `a${i}${"x".repeat(SPAN_BYTES / 4)}`);
  for (const [waiting, state] of [[["a", "bb"], "resting"], [["a", "bä"], "flowing"], [TEN, "flowing"]] as const) {
    const stage = quick();
    stage.receive(waiting, "one by one");
    const { queuedBytes } = stage.delivery.counts();
    const run = stage.receive(texts, "on demand")!;
    assertEquals(run.state, state);
    const bytes = texts.slice(0, run.taken).reduce((sum, text) => sum + text.length, 0);
    assertEquals(stage.delivery.counts().queuedBytes, queuedBytes + bytes);
    assertEquals(takeAll(stage.delivery), [...waiting, ...texts]);
  }
});

test("A consumer that is slow finds all of a run in its queue", () => {
  const stage = new Stage({});
  assertEquals(stage.receive(TEN, "on demand")!.state, "flowing");
  assertEquals(stage.delivery.counts(), { ...stage.other.counts(), queued: 10, queuedBytes: 20 });
});

test("Messages that were put in as one weigh what each of them does, whether some are taken or more come behind them", () => {
  const stage = quick();
  stage.receive([...TEN, "a10"], "on demand");
  stage.delivery.take();
  assertEquals([stage.delivery.counts().queued, stage.delivery.counts().queuedBytes], [10, 21]);
  stage.receive(["b1"], "at once");
  assertEquals([stage.delivery.counts().queued, stage.delivery.counts().queuedBytes], [11, 23]);
  assertEquals(takeAll(stage.delivery), [...TEN.slice(1), "a10", "b1"]);
  assertEquals(stage.delivery.counts().queuedBytes, 0);
});

test("What was put in as one is still taken after the end, and forgotten with everything else", async () => {
  for (const end of ["end", "clear"] as const) {
    const stage = quick();
    stage.receive(TEN, "on demand");
    stage.delivery.take();
    const drained = stage.delivery.drained();
    stage.delivery[end]();
    stage.receive(["b1"], "at once");
    assertEquals(takeAll(stage.delivery), end === "end" ? TEN.slice(1) : ["b1"]);
    await drained;
  }
});

test("A gap before what was put in as one is told on its first message", () => {
  const stage = quick();
  stage.receive(TEN, "on demand");
  stage.delivery.giveGap({ since: new Date(0), reasons: ["reconnect"], downMs: 5, dropped: 0 });
  const [first, ...others] = stage.delivery.takeMany(4);
  assertEquals([first?.gap?.downMs, others.map(({ gap }) => gap)], [5, [undefined, undefined, undefined]]);
});

test("What is dropped while a batch is being filled is told behind it", () => {
  const stage = quick({ maxQueuedBytes: 100 });
  const run = stage.receive(TEN, "on demand")!;
  const long = "x".repeat(60);
  run.more = () => stage.receive([`a${long}`, `b${long}`, `a${long}`], "at once");
  assertEquals(
    stage.delivery.takeMany(30).map(({ payload, gap }) => [payload, gap]),
    TEN.map((text) => [text, undefined]),
  );
  assertEquals(stage.delivery.takeMany(30).map(({ gap }) => gap?.dropped), [2]);
});

test("What is not ASCII is put in one by one, and weighs its bytes", () => {
  const stage = quick();
  stage.receive(["a1é", "a2", "a3", "a4", "a5"], "on demand");
  assertEquals([stage.delivery.counts().queued, stage.delivery.counts().queuedBytes], [5, 12]);
  assertEquals(takeAll(stage.delivery), ["a1é", "a2", "a3", "a4", "a5"]);
  const long = "é".repeat(SPAN_BYTES);
  stage.receive(["a6é", `a7${long}`, `a8${long}`, "a9"], "on demand");
  assertEquals(stage.delivery.counts().queuedBytes, 4 + 2 * (2 + 2 * SPAN_BYTES) + 2);
  assertEquals(takeAll(stage.delivery), ["a6é", `a7${long}`, `a8${long}`, "a9"]);
});

function taken({ delivery }: Stage, count: number): unknown[] {
  return delivery.takeMany(count).map(({ payload, gap }) => [payload, gap]);
}

test("A message that fails ends what comes behind it in the same run", () => {
  const stage = new Stage({ overflow: "error", maxQueuedMessages: 3 });
  stage.receive(["a1", "a2", "a3", "a4", "a5"], "at once");
  assertEquals([stage.delivery.state, stage.delivery.counts().queued], ["failed", 3]);
  assert(stage.owner.leavers.length === 1);
});
