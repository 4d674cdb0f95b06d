import type { Clock } from "../../src/connection/clock.ts";
import { Delivery, type DeliveryOwner } from "../../src/delivery/delivery.ts";
import { resolveStreamOptions, type StreamOptions } from "../../src/delivery/options.ts";
import type { DecodeError } from "../../src/errors.ts";
import type { Gap, Message } from "../../src/message.ts";

/** The date at which the fake clock starts. */
export const EPOCH = Date.UTC(2024, 0, 1);

/** A clock that stands still until `ms` is set; its date runs along. */
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

  after(): () => void {
    throw new Error("A delivery sets no timer");
  }
}

/** Notes what a delivery tells. */
export class FakeOwner implements DeliveryOwner {
  readonly clock = new FakeClock();
  readonly overflows: number[] = [];
  readonly skips: DecodeError[] = [];
  readonly fullness: boolean[] = [];
  leavers: Delivery[] = [];

  overflowed(dropped: number): void {
    this.overflows.push(dropped);
  }

  skipped(error: DecodeError): void {
    this.skips.push(error);
  }

  full(_delivery: Delivery, full: boolean): void {
    this.fullness.push(full);
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
