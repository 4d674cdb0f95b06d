/** Reads one stream, in its manner and in a mood that changes, and remembers what it takes. */

import { type Message, OverflowError, type PubSub } from "@earshot/redis";
import { moment, type StreamEvidence, type Taken } from "./evidence.ts";
import type { Mood, StreamPlan } from "./plan.ts";
import { numberOf } from "./publisher.ts";

/** How long who is slow rests after each message, in milliseconds. */
const SLOW_MS = 4;

export class Listener {
  readonly plan: StreamPlan;
  readonly evidence: StreamEvidence;
  /** Resolves when the stream has ended; never rejects. */
  readonly ended: Promise<void>;
  state: "open" | "leaving" | "ended" = "open";
  /** What was wrong with what it read. */
  readonly problems: string[] = [];
  #mood: Mood;
  #wake: () => void = () => {};
  #leave: () => Promise<unknown> = () => Promise.resolve();

  constructor(label: string, source: PubSub | ReadableStream<Message>, plan: StreamPlan) {
    this.plan = plan;
    this.evidence = { label, overflow: plan.overflow, taken: [], holds: [], ended: "no" };
    this.#mood = plan.mood;
    this.ended = this.#read(source).then(() => void (this.state = "ended"), (error) => this.#failed(error));
  }

  set mood(mood: Mood) {
    this.#mood = mood;
    this.#wake();
  }

  /** The last message that was taken. */
  get last(): Taken | undefined {
    return this.evidence.taken.at(-1);
  }

  /** Leaves the stream, which lets go of its names. */
  async cancel(): Promise<void> {
    this.state = "leaving";
    this.evidence.ended = "cut short";
    this.#wake();
    // As the platform has it, to cancel a stream that has failed meanwhile rejects with why.
    await this.#leave().catch((error) => this.#failed(error));
    await this.ended;
  }

  #failed(error: unknown): void {
    this.state = "ended";
    if (this.plan.overflow === "error" && error instanceof OverflowError) {
      this.evidence.ended = "cut short";
      for (const hold of this.evidence.holds) hold.until ??= moment();
      return;
    }
    this.problems.push(`${this.evidence.label} failed: ${error}`);
  }

  async #read(source: PubSub | ReadableStream<Message>): Promise<void> {
    if (this.plan.manner === "iterator") {
      const iterator = source[Symbol.asyncIterator]();
      this.#leave = async () => await iterator.return?.();
      for (let step; !(step = await iterator.next()).done;) await this.#take(step.value);
    } else if (this.plan.manner === "batches" && "batches" in source) {
      const reader = source.batches({ maxBatch: 50 }).getReader();
      this.#leave = () => reader.cancel();
      for (let step; !(step = await reader.read()).done;) {
        for (const message of step.value) this.#remember(message);
        await this.#rest();
      }
    } else {
      const reader = ("readable" in source ? source.readable : source).getReader();
      this.#leave = () => reader.cancel();
      for (let step; !(step = await reader.read()).done;) await this.#take(step.value);
    }
  }

  async #take(message: Message): Promise<void> {
    this.#remember(message);
    if (this.#mood !== "eager") await this.#rest();
  }

  #remember({ kind, channel, pattern, payload, gap }: Message): void {
    const number = numberOf(payload);
    const name = pattern ?? channel;
    if (number === undefined) this.problems.push(`A payload was mangled: ${JSON.stringify(payload.slice(0, 80))}`);
    else this.evidence.taken.push({ kind, name, channel, number, gap, at: moment() });
  }

  async #rest(): Promise<void> {
    if (this.#mood === "slow" && this.state === "open") await this.#sleep(SLOW_MS);
    while (this.#mood === "asleep" && this.state === "open") await this.#sleep(Infinity);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
