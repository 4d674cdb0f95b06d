/** Where the tests of backfills stand. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import type { Delivery } from "../../src/delivery/delivery.ts";
import type { StreamOptions } from "../../src/delivery/options.ts";
import type { Gap, Message } from "../../src/message.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { deliver, type FakeOwner, newDelivery } from "./fake_owner.ts";

/** A message as a log gives it. */
export function message(payload: string): Message<string> {
  return { kind: "channel", channel: "news", pattern: undefined, payload, gap: undefined };
}

/** A log that gives what it is told to, when it is told to. */
export class Log implements AsyncIterableIterator<Message<string>> {
  readonly gap: Gap;
  readonly signal: AbortSignal;
  /** How many messages were asked for, and how often it was told to end. */
  asked = 0;
  returned = 0;
  #calls: { resolve: (result: IteratorResult<Message<string>>) => void; reject: (error: unknown) => void }[] = [];

  constructor(gap: Gap, signal: AbortSignal) {
    this.gap = gap;
    this.signal = signal;
  }

  next(): Promise<IteratorResult<Message<string>>> {
    this.asked++;
    return new Promise((resolve, reject) => this.#calls.push({ resolve, reject }));
  }

  /** Never answers: whoever waits for it waits for ever. */
  return(): Promise<IteratorResult<Message<string>>> {
    this.returned++;
    return new Promise(() => {});
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async gives(value: unknown): Promise<void> {
    const given = typeof value === "string" ? message(value) : value as Message<string>;
    this.#calls.shift()!.resolve({ value: given, done: false });
    await settle();
  }

  async ends(): Promise<void> {
    this.#calls.shift()!.resolve({ value: undefined, done: true });
    await settle();
  }

  async fails(error: unknown): Promise<void> {
    this.#calls.shift()!.reject(error);
    await settle();
  }
}

/** A delivery whose gaps are filled from logs that the test holds. */
export class Scene {
  readonly delivery: Delivery<string>;
  readonly owner: FakeOwner;
  readonly logs: Log[] = [];

  constructor(options: StreamOptions<string> = {}) {
    const made = newDelivery({
      backfill: (gap, signal) => {
        const log = new Log(gap, signal);
        this.logs.push(log);
        return log;
      },
      ...options,
    });
    this.delivery = made.delivery;
    this.owner = made.owner;
  }

  get log(): Log {
    return this.logs.at(-1)!;
  }

  /** Is lost for a second; the first message after it has `payload`. */
  blink(payload?: string): void {
    this.delivery.lost(this.owner.clock.ms);
    this.owner.clock.pass(1_000);
    this.delivery.recovered(this.owner.clock.ms);
    if (payload !== undefined) deliver(this.delivery, payload);
  }

  /** Takes what there is now: each message, and what became of the gap before it. */
  take(): string[] {
    const taken: string[] = [];
    for (let message; (message = this.delivery.source.take()) !== undefined;) {
      const { payload, gap } = message;
      taken.push(gap === undefined ? payload : `${gap.backfill ?? "open"} ${payload}`);
    }
    return taken;
  }
}

/** Registers a test that must leave no rejection unhandled. */
export function quietly(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    const unhandled: unknown[] = [];
    const hear = (reason: unknown) => void unhandled.push(reason);
    process.on("unhandledRejection", hear);
    try {
      await body();
      await settle();
      assertEquals(unhandled, []);
    } finally {
      process.off("unhandledRejection", hear);
    }
  });
}
