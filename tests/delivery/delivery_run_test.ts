/** A run of several messages is put in at once where there is nothing to tell: that must be what one by one gives. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Hub } from "../../src/client/hub.ts";
import type { Delivery } from "../../src/delivery/delivery.ts";
import type { StreamOptions } from "../../src/delivery/options.ts";
import { add } from "../support/hub.ts";
import { KnownTopics, message, runOf } from "../support/run.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { test } from "../support/test.ts";
import { type FakeOwner, newDelivery, takeAll } from "./fake_owner.ts";

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

  /** One run of all of it, or one for each message. */
  receive(texts: readonly string[], how: "at once" | "one by one"): void {
    const messages = texts.map((text) => message(text.slice(0, 1), text));
    for (const some of how === "at once" ? [messages] : messages.map((one) => [one])) {
      const run = runOf(some, this.#topics);
      this.hub.deliver(run);
      assertEquals(run.taken, run.count);
    }
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

function taken({ delivery }: Stage, count: number): unknown[] {
  return delivery.takeMany(count).map(({ payload, gap }) => [payload, gap]);
}

test("A message that fails ends what comes behind it in the same run", () => {
  const stage = new Stage({ overflow: "error", maxQueuedMessages: 3 });
  stage.receive(["a1", "a2", "a3", "a4", "a5"], "at once");
  assertEquals([stage.delivery.state, stage.delivery.counts().queued], ["failed", 3]);
  assert(stage.owner.leavers.length === 1);
});
