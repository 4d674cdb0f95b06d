/** Anything that a producer and its consumers may do, in any order, over a stream of ours and one of the platform's. */

import fc from "fast-check";
import { byTurn, compare, type Scene } from "./platform.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

const STEPS = [
  "put",
  "put two",
  "end",
  "fail",
  "reader",
  "read",
  "release",
  "iterator",
  "iterator with preventCancel",
  "next",
  "return",
  "cancel by the reader",
  "cancel by the stream",
  "turn",
] as const;

type Step = typeof STEPS[number];

/** Who is there, and how far they have come. */
class Play {
  #scene: Scene;
  #reader: ReadableStreamDefaultReader<unknown> | undefined;
  #iterator: AsyncIterator<unknown> | undefined;
  /** How many `next` of the iterator are not answered. */
  #pending = 0;
  /** How many were, since there was last none that is not. */
  #answered = 0;
  #put = 0;
  #got = 0;
  #count = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Takes a step; what it returns is waited for, so that two steps may come in one moment. */
  run(step: Step): Promise<void> | void {
    const name = `${step} ${++this.#count}`;
    switch (step) {
      case "put":
        return this.#scene.put(++this.#put);
      case "put two":
        return this.#scene.put(++this.#put, ++this.#put);
      case "end":
        this.#scene.end();
        return this.#scene.turn();
      case "fail":
        return this.#fail();
      case "reader":
        return this.#lock(name, () => {
          this.#reader = this.#scene.stream.getReader();
          this.#scene.watch(`${name} closed`, this.#reader.closed);
        });
      case "read":
        return this.#ask(name, this.#reader?.read());
      case "release":
        return this.#reader?.releaseLock();
      case "iterator":
      case "iterator with preventCancel":
        return this.#lock(name, () => {
          this.#iterator = this.#scene.stream.values({ preventCancel: step !== "iterator" });
          this.#pending = this.#answered = 0;
        });
      case "next":
        return this.#next(name);
      case "return":
        return this.#return(name);
      case "cancel by the reader":
        return this.#ask(name, this.#reader?.cancel(name));
      case "cancel by the stream":
        return this.#lock(name, () => this.#ask(name, this.#scene.stream.cancel(name)));
      case "turn":
        return this.#scene.turn();
    }
  }

  async #fail(): Promise<void> {
    await this.#scene.turn();
    // The platform would drop what nobody has read.
    if (this.#got === this.#put) this.#scene.fail(this.#scene.error("cause"));
    await this.#scene.turn();
  }

  /** Runtimes differ in whether an iterator gives up its lock at once when it ends, or a moment later. */
  async #lock(name: string, run: () => void): Promise<void> {
    await this.#scene.turn();
    this.#scene.attempt(name, run);
  }

  #next(name: string): void {
    const iterator = this.#iterator;
    // Where some of several are answered and others wait, one more fails an assertion inside Deno and Node.
    if (iterator === undefined || this.#answered > 0) return;
    this.#pending++;
    const answered = () => {
      if (iterator !== this.#iterator) return;
      this.#answered = --this.#pending === 0 ? 0 : this.#answered + 1;
    };
    const next = iterator.next();
    next.then(answered, answered);
    this.#ask(name, next);
  }

  async #return(name: string): Promise<void> {
    await this.#scene.turn();
    // Over a `next` that waits the runtimes themselves disagree: see stream_differences_test.ts.
    if (this.#pending > 0) return;
    this.#ask(name, this.#iterator?.return?.(name));
  }

  #ask(name: string, answer: Promise<unknown> | undefined): void {
    if (answer === undefined) return;
    answer.then((step) => (step as IteratorResult<unknown>)?.done === false && this.#got++, () => {});
    this.#scene.watch(name, answer);
  }
}

test("Like the platform: whatever is done, in whatever order, is answered alike", async () => {
  const steps = fc.array(fc.constantFrom(...STEPS), { minLength: 2, maxLength: 16 });
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (steps, late) => {
      await compare(steps.join(", "), async (scene) => {
        if (late) scene.onCancel = settle;
        const play = new Play(scene);
        for (const step of steps) {
          const waited = play.run(step);
          if (waited !== undefined) await waited;
        }
        await scene.turn();
        scene.note(`locked: ${scene.stream.locked}`);
        await scene.rest();
        // What wakes a consumer of ours takes a moment, as a pull does.
      }, { against: ["pulled"], allow: byTurn });
    }),
    { numRuns: 400, seed: 20_240_611 },
  );
});
