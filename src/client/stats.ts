/**
 * What a subscriber has seen, counted.
 *
 * @module
 */

import type { Clock } from "../connection/clock.ts";
import type { Delivery, Past } from "../delivery/delivery.ts";

/** What a {@linkcode PubSub} has seen; counts since it was made, of all its streams together. */
export interface PubSubStats {
  /** Messages that came from the server. */
  readonly received: number;
  /** Messages that consumers have taken; one that two streams take counts twice. */
  readonly delivered: number;
  /** Messages that full queues dropped. */
  readonly dropped: number;
  /** Payloads that a codec rejected and that were left out. */
  readonly skipped: number;
  /** Messages that `backfill` gave, and consumers have taken. */
  readonly backfilled: number;
  /** Messages that wait. */
  readonly queued: number;
  /** Bytes of payload that wait. */
  readonly queuedBytes: number;
  /** How often a lost connection was made anew, every name acknowledged. */
  readonly reconnects: number;
  /** Pushes of the server that this library does not know, and ignores. */
  readonly unknownPushes: number;
  /** When the last message came, in milliseconds since the epoch. */
  readonly lastMessageAt: number | undefined;
}

/** Counts for one subscriber. */
export class Tally {
  /** Messages that came. */
  received = 0;
  /** When the last message came, on the clock. */
  lastMessage: number | undefined;
  /** The counts of streams that are gone. */
  #past: Past = { delivered: 0, dropped: 0, skipped: 0, backfilled: 0 };

  /** A stream goes: its counts stay, and what is still taken from it counts. */
  keep(delivery: Pick<Delivery, "countInto">): void {
    delivery.countInto(this.#past);
  }

  /** All so far, with the streams that are there. */
  sum(
    deliveries: Iterable<Pick<Delivery, "counts">>,
    { reconnects, unknownPushes }: Pick<PubSubStats, "reconnects" | "unknownPushes">,
    clock: Clock,
  ): PubSubStats {
    const stats = {
      ...this.#past,
      received: this.received,
      queued: 0,
      queuedBytes: 0,
      reconnects,
      unknownPushes,
      lastMessageAt: this.lastMessage && Math.round(clock.date() - clock.now() + this.lastMessage),
    };
    for (const delivery of deliveries) {
      const counts = delivery.counts();
      stats.delivered += counts.delivered;
      stats.dropped += counts.dropped;
      stats.skipped += counts.skipped;
      stats.backfilled += counts.backfilled;
      stats.queued += counts.queued;
      stats.queuedBytes += counts.queuedBytes;
    }
    return stats;
  }
}
