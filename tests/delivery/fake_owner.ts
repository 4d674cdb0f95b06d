import type { Clock } from "../../src/connection/clock.ts";
import { Delivery, type DeliveryOwner, type Room } from "../../src/delivery/delivery.ts";
import { resolveStreamOptions, type StreamOptions } from "../../src/delivery/options.ts";
import type { RedisError } from "../../src/errors.ts";
import type { Gap, Message } from "../../src/message.ts";

/** The date at which the fake clock starts. */
export const EPOCH = Date.UTC(2024, 0, 1);

/** A clock that stands still until `ms` is set, or time is made to pass; its date runs along. */
export class FakeClock implements Clock {
  ms = 5_000;

  now(): number {
    return this.ms;
  }

  date(): number {
    return EPOCH + this.ms;
  }

  random(): number {
    return 0.5;
  }

  #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.ms + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves the time, and runs what is due, in order. */
  pass(ms: number): void {
    const until = this.ms + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.ms = Math.max(this.ms, next.at);
      next.run();
    }
    this.ms = until;
  }
}

/** Notes what a delivery tells. */
export class FakeOwner implements DeliveryOwner {
  readonly clock = new FakeClock();
  readonly overflows: number[] = [];
  readonly errors: RedisError[] = [];
  /** Was the socket to be stopped, or to be read again? */
  readonly fullness: boolean[] = [];
  /** How often it was for a turn of the consumer. */
  turns = 0;
  leavers: Delivery[] = [];

  overflowed(dropped: number): void {
    this.overflows.push(dropped);
  }

  erred(error: RedisError): void {
    this.errors.push(error);
  }

  room(_delivery: Delivery, room: Room): void {
    this.fullness.push(room !== "free");
    if (room === "turn") this.turns++;
  }

  gone(delivery: Delivery): Promise<void> {
    this.leavers.push(delivery);
    return Promise.resolve();
  }
}

/** A delivery of text with its owner. */
export function newDelivery(options: StreamOptions<string> = {}): { delivery: Delivery<string>; owner: FakeOwner } {
  const owner = new FakeOwner();
  return { delivery: new Delivery<string>(resolveStreamOptions(options), owner), owner };
}

/** Puts one message in for each payload; each byte of text counts as one. */
export function deliver(delivery: Delivery<string>, ...payloads: string[]): void {
  for (const payload of payloads) {
    delivery.deliver({ kind: "channel", channel: "news", pattern: undefined, payload, gap: undefined }, payload.length);
  }
}

/** Takes everything: the payloads, each with its gap where it has one. */
export function takeAll(delivery: Delivery<string>): (string | [string, Gap])[] {
  const taken: (string | [string, Gap])[] = [];
  for (let message: Message<string> | undefined; (message = delivery.take()) !== undefined;) {
    taken.push(message.gap === undefined ? message.payload : [message.payload, message.gap]);
  }
  return taken;
}
