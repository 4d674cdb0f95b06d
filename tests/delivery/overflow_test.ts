/** What each policy does with a queue at its limit. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Overflow, POLICIES } from "../../src/delivery/overflow.ts";
import type { StreamOptions } from "../../src/delivery/options.ts";
import { OverflowError } from "../../src/errors.ts";
import type { Gap, Kind, Message } from "../../src/message.ts";
import { test } from "../support/test.ts";
import { EPOCH, newDelivery, takeAll } from "./fake_owner.ts";

const KINDS: readonly Kind[] = ["channel", "pattern", "shard"];

function message(payload: string, channel = "news", kind: Kind = "channel"): Message<string> {
  return { kind, channel, pattern: kind === "pattern" ? `${channel[0]}*` : undefined, payload, gap: undefined };
}

/** A delivery that was given `payloads`; where one has the form `a:1`, it came on channel `a`. */
function filled(options: StreamOptions<string>, ...payloads: string[]) {
  const made = newDelivery(options);
  for (const payload of payloads) {
    made.delivery.deliver(message(payload, payload.includes(":") ? payload.split(":")[0] : "news"), payload.length);
  }
  return made;
}

function overflow(dropped: number, since = 5_000): Gap {
  return { reasons: ["overflow"], since: new Date(EPOCH + since), downMs: 0, dropped };
}

test("drop-newest leaves out what comes, and tells it behind what waited", () => {
  const { delivery, owner } = filled({ overflow: "drop-newest", maxQueuedMessages: 2 }, "1", "2", "3");
  owner.clock.ms = 6_000;
  delivery.deliver(message("4"), 1);
  assertEquals([delivery.take()?.payload, delivery.counts().dropped], ["1", 2]);
  delivery.deliver(message("5"), 1);
  assertEquals(takeAll(delivery), ["2", ["5", overflow(2)]]);
  delivery.deliver(message("6"), 1);
  assertEquals(takeAll(delivery), ["6"]);
});

test("drop-newest leaves out what is too large, and takes what is small enough behind it", () => {
  const { delivery } = filled({ overflow: "drop-newest", maxQueuedBytes: 4 }, "oversized");
  assertEquals(delivery.counts().queued, 1, "one message may always wait");
  delivery.take();
  for (const payload of ["ab", "cde", "fg", "h"]) delivery.deliver(message(payload), payload.length);
  delivery.take();
  delivery.deliver(message("i"), 1);
  assertEquals(takeAll(delivery), [["fg", overflow(1)], ["i", overflow(1)]]);
});

test("drop-newest tells a lost connection and what was left out after it as one gap", () => {
  const { delivery, owner } = filled({ overflow: "drop-newest", maxQueuedMessages: 1 }, "1");
  delivery.lost(4_000);
  delivery.recovered(owner.clock.ms);
  delivery.deliver(message("2"), 1);
  delivery.take();
  delivery.deliver(message("3"), 1);
  const gap: Gap = { reasons: ["reconnect", "overflow"], since: new Date(EPOCH + 4_000), downMs: 1_000, dropped: 1 };
  assertEquals(takeAll(delivery), [["3", gap]]);
});

test("latest keeps one message of each channel, in the place of the oldest, and tells there what it replaced", () => {
  const { delivery } = filled({ overflow: "latest" }, "a:1", "b:1", "a:2", "c:1", "a:3");
  assertEquals(delivery.counts(), {
    delivered: 0,
    dropped: 2,
    skipped: 0,
    backfilled: 0,
    queued: 3,
    queuedBytes: 9,
  });
  assertEquals(takeAll(delivery), [["a:3", overflow(2)], "b:1", "c:1"]);
  delivery.deliver(message("a:4", "a"), 3);
  assertEquals(takeAll(delivery), ["a:4"]);
});

test("latest holds apart what came by other subscriptions, and knows of each what waits", () => {
  const { delivery } = newDelivery({ overflow: "latest" });
  for (const payload of ["1", "2"]) {
    for (const kind of KINDS) delivery.deliver(message(payload, "a", kind), 1);
    delivery.deliver({ ...message(payload, "a", "pattern"), pattern: "?" }, 1);
  }
  assertEquals(takeAll(delivery), Array.from({ length: 4 }, () => ["2", overflow(1)]));
});

test("latest lets every channel have its turn, however often one of them speaks", () => {
  const { delivery } = filled({ overflow: "latest" }, "a:0", "b:0");
  const taken: string[] = [];
  for (let i = 1; i < 7; i++) {
    taken.push(delivery.take()!.channel);
    for (const channel of ["b", "a", "a"]) delivery.deliver(message(`${channel}:${i}`, channel), 3);
  }
  assertEquals(taken, ["a", "b", "a", "b", "a", "b"]);
});

test("latest with more channels than may wait drops the oldest", () => {
  const { delivery } = filled({ overflow: "latest", maxQueuedMessages: 2 }, "a:1", "b:1", "c:1", "b:2", "a:2");
  assertEquals(takeAll(delivery), [["c:1", overflow(3)], "a:2"]);
});

test("latest drops the oldest where a message needs more bytes than the one that it replaces", () => {
  const options = { overflow: "latest", maxQueuedBytes: 9 } as const;
  const { delivery } = filled(options, "a:1", "b:1", "c:1", "b:large");
  assertEquals(takeAll(delivery), [["b:large", overflow(3)]]);
  const { delivery: first } = filled(options, "a:1", "b:1", "c:1", "a:234");
  assertEquals(takeAll(first), [["c:1", overflow(2)], "a:234"]);
  const { delivery: alone } = filled(options, "a:1", "a:much too large");
  assertEquals(takeAll(alone), [["a:much too large", overflow(1)]]);
});

test("latest tells a lost connection on whatever is taken next, since what comes may overtake what waits", () => {
  const { delivery, owner } = filled({ overflow: "latest" }, "a:1", "b:1");
  delivery.lost(4_500);
  delivery.recovered(owner.clock.ms);
  delivery.deliver(message("c:1", "c"), 3);
  delivery.deliver(message("a:2", "a"), 3);
  delivery.deliver(message("a:3", "a"), 3);
  const gap: Gap = { reasons: ["reconnect", "overflow"], since: new Date(EPOCH + 4_500), downMs: 500, dropped: 2 };
  assertEquals(takeAll(delivery), [["a:3", gap], "b:1", "c:1"]);
});

test("latest writes to no message that other streams have", () => {
  const shared = [Object.freeze(message("1")), Object.freeze(message("2"))];
  const { delivery } = newDelivery({ overflow: "latest" });
  for (const each of shared) delivery.deliver(each, 1);
  assertEquals([delivery.take()?.gap?.dropped, shared[1]?.gap], [1, undefined]);
});

test("latest starts anew after all that waited was dropped", () => {
  const { delivery } = filled({ overflow: "latest" }, "a:1", "b:1", "a:2");
  delivery.clear();
  for (const payload of ["b:2", "a:3", "b:3"]) delivery.deliver(message(payload, payload[0]), 3);
  assertEquals(takeAll(delivery), [["b:3", overflow(1)], "a:3"]);
});

test("error ends the stream with an OverflowError after what waits", () => {
  const { delivery, owner } = filled({ overflow: "error", maxQueuedMessages: 2 }, "1", "2", "3", "4");
  assert(delivery.error instanceof OverflowError);
  assertEquals(delivery.error.message, "The queue of the stream is full: 2 messages, 2 bytes");
  assertEquals([delivery.state, owner.leavers, owner.overflows], ["failed", [delivery], [1]]);
  assertEquals([takeAll(delivery), delivery.counts().dropped], [["1", "2"], 1]);
});

test("error knows the limit of bytes, too, and takes one message whatever its size", () => {
  const { delivery } = filled({ overflow: "error", maxQueuedBytes: 4 }, "oversized");
  delivery.take();
  for (const payload of ["ab", "cd"]) delivery.deliver(message(payload), 2);
  assertEquals(delivery.state, "open");
  delivery.deliver(message("e"), 1);
  assertEquals(delivery.state, "failed");
});

test("A consumer that had taken everything has a turn before its queue drops, at most one", () => {
  for (const policy of ["drop-oldest", "drop-newest", "error"] as const) {
    const { delivery, owner } = newDelivery({ overflow: policy, maxQueuedMessages: 2 });
    assertEquals(delivery.take(), undefined);
    for (const payload of ["1", "2"]) delivery.deliver(message(payload), 1);
    assertEquals([owner.fullness, delivery.counts().dropped], [[true], 0], policy);
    assertEquals(takeAll(delivery), ["1", "2"]);
    assertEquals([owner.fullness, owner.clock.pending], [[true, false], 0], "it took, and no timer is left");
    for (const payload of ["3", "4"]) delivery.deliver(message(payload), 1);
    owner.clock.pass(1);
    assertEquals(owner.fullness, [true, false, true, false], "it took nothing, and holds up nobody");
    delivery.deliver(message("5"), 1);
    assertEquals([owner.fullness.length, owner.turns, delivery.counts().dropped], [4, 2, 1], policy);
  }
});

test("A consumer that has left something is given no turn", () => {
  const { delivery, owner } = filled({ maxQueuedMessages: 2 }, "1", "2");
  delivery.take();
  for (const payload of ["3", "4"]) delivery.deliver(message(payload), 1);
  assertEquals([owner.fullness, delivery.counts().dropped], [[], 1]);
});

test("A turn that is under way when the stream ends leaves no timer, and holds up nobody", () => {
  const { delivery, owner } = newDelivery({ maxQueuedMessages: 1 });
  assertEquals(delivery.takeMany(2), []);
  delivery.deliver(message("1"), 1);
  delivery.end();
  assertEquals([owner.fullness, owner.clock.pending], [[true, false], 0]);
});

/** A place where messages are missing: how many the queue dropped, and how many losses of a connection. */
interface Missing {
  dropped: number;
  losses: number;
}

interface Waiting extends Missing {
  readonly id: number;
  readonly channel: string;
  readonly bytes: number;
}

/** What a stream delivers, without a thought for cost. */
class Model {
  waiting: Waiting[] = [];
  dropped = 0;
  state: "open" | "failed" = "open";
  #head: Missing = { dropped: 0, losses: 0 };
  #tail: Missing = { dropped: 0, losses: 0 };
  #loss: "none" | "untold" | "told" = "none";

  constructor(readonly policy: Overflow, readonly messages: number, readonly bytes: number) {}

  put(id: number, channel: string, bytes: number): void {
    if (this.state === "failed") return;
    if (this.#loss === "untold") this.#tell("told");
    const at = this.policy === "latest" ? this.waiting.findIndex((waiting) => waiting.channel === channel) : -1;
    const old = this.waiting[at];
    if (old !== undefined && (this.#bytes - old.bytes + bytes <= this.bytes || this.waiting.length === 1)) {
      this.waiting[at] = { ...this.#withTail(id, channel, bytes, old), dropped: old.dropped + this.#tail.dropped + 1 };
      this.#tail = { dropped: 0, losses: 0 };
      this.dropped++;
      return;
    }
    // What is replaced may go while room is made for it: then a queue that it left may hold the rest.
    while (!this.#fits(bytes, channel)) {
      if (this.policy === "block") break;
      this.dropped++;
      if (this.policy === "drop-newest" || this.policy === "error") {
        this.#tail.dropped++;
        if (this.policy === "error") this.state = "failed";
        return;
      }
      const { dropped, losses } = this.waiting.shift()!;
      this.#head = { dropped: this.#head.dropped + dropped + 1, losses: this.#head.losses + losses };
      if (old !== undefined && this.waiting.includes(old)) return this.put(id, channel, bytes);
    }
    this.waiting.push(this.#withTail(id, channel, bytes, { dropped: 0, losses: 0 }));
    this.#tail = { dropped: 0, losses: 0 };
  }

  take(): Waiting | undefined {
    const first = this.waiting.shift();
    if (first === undefined) return undefined;
    const { dropped, losses } = this.#head;
    this.#head = { dropped: 0, losses: 0 };
    return { ...first, dropped: first.dropped + dropped, losses: first.losses + losses };
  }

  lost(): void {
    this.#loss = "untold";
  }

  recovered(): void {
    if (this.#loss !== "none") this.#tell("none");
  }

  #withTail(id: number, channel: string, bytes: number, { dropped, losses }: Missing): Waiting {
    return { id, channel, bytes, dropped: dropped + this.#tail.dropped, losses: losses + this.#tail.losses };
  }

  #tell(loss: "none" | "told"): void {
    this.#loss = loss;
    (this.policy === "latest" ? this.#head : this.#tail).losses++;
  }

  get #bytes(): number {
    return this.waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #fits(bytes: number, channel: string): boolean {
    if (this.waiting.length === 0) return true;
    const replaces = this.policy === "latest" && this.waiting.some((waiting) => waiting.channel === channel);
    return !replaces && this.waiting.length < this.messages && this.#bytes + bytes <= this.bytes;
  }
}

const STEP = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("put" as const),
      channel: fc.constantFrom("a", "b", "c", "d"),
      bytes: fc.nat(6),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("take" as const), most: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.constantFrom(...(["lost", "recovered", "wait"] as const)).map((type) => ({ type })) },
);

for (const policy of Object.keys(POLICIES) as Overflow[]) {
  test(`${policy}: delivered and dropped-as-told are what was put, in order, none twice, each gap in its place`, () => {
    fc.assert(
      fc.property(fc.array(STEP, { maxLength: 80 }), fc.integer({ min: 1, max: 5 }), (steps, limit) => {
        const options = { overflow: policy, maxQueuedMessages: limit, maxQueuedBytes: limit * 3 };
        const { delivery, owner } = newDelivery(options);
        const model = new Model(policy, limit, limit * 3);
        let put = 0;
        let delivered = 0;
        let told = 0;
        const last = new Map<string, number>();
        const check = ({ payload, channel, gap }: Message<string>) => {
          const expected = model.take()!;
          assertEquals([Number(payload), channel, gap?.dropped ?? 0], [
            expected.id,
            expected.channel,
            expected.dropped,
          ]);
          assertEquals(gap?.reasons.includes("overflow") ?? false, expected.dropped > 0);
          assertEquals(gap?.reasons.includes("reconnect") ?? false, expected.losses > 0);
          assert((last.get(channel) ?? 0) < expected.id, "in order, and none twice");
          last.set(channel, expected.id);
          delivered++;
          told += gap?.dropped ?? 0;
          if (policy !== "latest") assertEquals(delivered + told, expected.id, "the gap stands where they are missing");
        };
        for (const step of steps) {
          owner.clock.pass(10);
          if (step.type === "put") {
            if (delivery.state === "open") put++;
            delivery.deliver(message(String(put), step.channel), step.bytes);
            model.put(put, step.channel, step.bytes);
          } else if (step.type === "take") delivery.takeMany(step.most).forEach(check);
          else if (step.type === "wait") delivery.wait();
          else if (step.type === "lost") {
            delivery.lost(owner.clock.ms);
            model.lost();
          } else {
            delivery.recovered(owner.clock.ms);
            model.recovered();
          }
          const { queued, queuedBytes, dropped } = delivery.counts();
          assertEquals([queued, dropped, delivery.state], [model.waiting.length, model.dropped, model.state]);
          if (policy !== "block") assert(queued <= limit && (queuedBytes <= limit * 3 || queued === 1));
        }
        for (let message; (message = delivery.take()) !== undefined;) check(message);
        // What was left out at the end is told on the next message, or by the error.
        if (policy === "drop-newest" || policy === "error") told += delivery.openGap?.dropped ?? 0;
        assertEquals([delivered + told, delivered + delivery.counts().dropped], [put, put]);
        owner.clock.pass(2_000);
        assertEquals(owner.overflows.reduce((sum, dropped) => sum + dropped, 0), delivery.counts().dropped);
        if (delivery.state === "failed") assert(delivery.error instanceof OverflowError);
        delivery.end();
        assertEquals([owner.clock.pending, owner.fullness.at(-1) ?? false], [0, false]);
      }),
      { numRuns: 1_000, seed: 11 },
    );
  });
}
