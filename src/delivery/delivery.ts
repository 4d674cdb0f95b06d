/**
 * What one stream delivers: a bounded queue, its overflow policy, its codec, and the gaps that it has to tell.
 *
 * A gap is told on the message behind it. Messages dropped at the head of the queue leave a gap before the oldest one
 * that is left; a lost connection leaves one before the next that comes.
 *
 * @module
 */

import type { Codec } from "../codec.ts";
import type { Clock } from "../connection/clock.ts";
import { DecodeError } from "../errors.ts";
import type { Gap, GapReason, Message } from "../message.ts";
import type { Run } from "../run/run.ts";
import type { Receiver } from "../run/topics.ts";
import { Queue } from "../stream/queue.ts";
import { lossGap, merge, withGap } from "./gap.ts";
import type { StreamOptions } from "./options.ts";
import { decodeMessage } from "./payload.ts";

/** Whom a delivery tells. */
export interface DeliveryOwner {
  readonly clock: Clock;
  /** Messages were dropped, `dropped` since this was last told. */
  overflowed(dropped: number): void;
  /** A payload could not be decoded, and was skipped. */
  skipped(error: DecodeError): void;
  /** The queue of a stream that blocks is full, or has room again. */
  full(delivery: Delivery, full: boolean): void;
  /** The consumer has gone, or nothing can be delivered any more. Must not reject. */
  gone(delivery: Delivery): Promise<void>;
}

/** How often dropped messages are told as an event, in milliseconds. */
const OVERFLOW_EVENT_MS = 1_000;

/** One stream's queue. */
export class Delivery<T = unknown> extends Queue<Message<T>> implements Receiver {
  /** How payloads become values. */
  readonly codec: Codec<T>;
  #options: Required<StreamOptions<T>>;
  #owner: DeliveryOwner;
  #room: "free" | "full" = "free";
  /** What is missing before the oldest message that waits: what dropped messages had to tell, and how many they were. */
  #headGap: Gap | undefined;
  #headDropped = 0;
  #headDroppedAt = 0;
  /** What is missing before the next message that comes. */
  #tailGap: Gap | undefined;
  /** Since when the connection is lost, on the clock. */
  #lostSince: number | undefined;
  /** Has this loss been told on a message? Once when the first one comes, and once when every name is back. */
  #loss: "untold" | "told" = "untold";
  /** What the loss came of, and whether a name was refused since. */
  #reasons = new Set<GapReason>();
  #delivered = 0;
  #dropped = 0;
  #untold = 0;
  #toldAt = -Infinity;
  #skipped = 0;

  /** Delivers as `options` say. */
  constructor(options: Required<StreamOptions<T>>, owner: DeliveryOwner) {
    super(() => owner.gone(this));
    this.codec = options.codec;
    this.#options = options;
    this.#owner = owner;
  }

  /** What has been, and what waits. */
  counts(): { delivered: number; dropped: number; skipped: number; queued: number; queuedBytes: number } {
    const { size } = this;
    return {
      delivered: this.#delivered,
      dropped: this.#dropped,
      skipped: this.#skipped,
      queued: size,
      queuedBytes: this.weight,
    };
  }

  /** Decodes message `i` of a run, and puts it in. */
  receive(run: Run, i: number): void {
    this.accept(decodeMessage(this.codec, run, i), run.size(i));
  }

  /** Takes what became of a message: itself, or why it cannot be decoded. */
  accept(decoded: Message<T> | DecodeError, bytes: number): void {
    if (decoded instanceof DecodeError) this.reject(decoded);
    else this.deliver(decoded, bytes);
  }

  /** Puts a message in. `message` is shared with other streams unless this one has a gap to tell. */
  deliver(message: Message<T>, bytes: number): void {
    if (this.state !== "open") return;
    if (this.#lostSince !== undefined && this.#loss === "untold") {
      this.#tellLoss(this.#owner.clock.now() - this.#lostSince);
    }
    if (this.#options.overflow === "drop-oldest") this.#makeRoom(bytes);
    if (this.#tailGap !== undefined) {
      message = withGap(message, this.#tailGap);
      this.#tailGap = undefined;
    }
    this.put(message, bytes);
    // Also when it was full before: a connection that has come since reads until it is told.
    if (this.#options.overflow === "block" && this.#holds(1)) {
      this.#room = "full";
      this.#owner.full(this, true);
    }
  }

  /** A payload that came could not be decoded. */
  reject(error: DecodeError): void {
    if (this.#options.onDecodeError === "error") {
      this.fail(error);
      return;
    }
    this.#skipped++;
    this.#owner.skipped(error);
  }

  override take(): Message<T> | undefined {
    const message = super.take();
    if (message === undefined) return undefined;
    this.#taken(1);
    return this.#headGap === undefined && this.#headDropped === 0 ? message : withGap(message, this.#takeHeadGap());
  }

  override takeMany(most: number): Message<T>[] {
    const messages = super.takeMany(most);
    const first = messages[0];
    if (first === undefined) return messages;
    this.#taken(messages.length);
    if (this.#headGap !== undefined || this.#headDropped > 0) messages[0] = withGap(first, this.#takeHeadGap());
    return messages;
  }

  override clear(): void {
    super.clear();
    if (this.#room === "full") this.#makeFree();
  }

  override fail(error: unknown): void {
    if (this.state !== "open") return;
    super.fail(error);
    if (this.#room === "full") this.#makeFree();
    this.#owner.gone(this);
  }

  /** The connection is lost that was heard last at `since`, on the clock. */
  lost(since: number, reason: GapReason = "reconnect"): void {
    this.#reasons.add(reason);
    this.#lostSince ??= since;
    this.#loss = "untold";
  }

  /** The connection is good again; `refused` where it has not got back every name of this stream. */
  recovered(now: number, refused = false): void {
    if (this.#lostSince === undefined) return;
    if (refused) {
      // What is lost on that name goes on being lost.
      this.#reasons.add("denied");
      return;
    }
    this.#tellLoss(now - this.#lostSince);
    this.#lostSince = undefined;
    this.#reasons.clear();
  }

  #taken(count: number): void {
    this.#delivered += count;
    // Half empty, so that the socket is not stopped and started for every message.
    if (this.#room === "full" && !this.#holds(0.5)) this.#makeFree();
  }

  #tellLoss(downMs: number): void {
    this.#loss = "told";
    this.#tailGap = merge(this.#tailGap, lossGap(this.#owner.clock, downMs, this.#reasons));
  }

  /** Is the queue as full as this share of either limit? */
  #holds(share: number): boolean {
    const { maxQueuedMessages, maxQueuedBytes } = this.#options;
    return this.size >= maxQueuedMessages * share || this.weight >= maxQueuedBytes * share;
  }

  /** Drops the oldest messages until one of `bytes` fits, or none is left. */
  #makeRoom(bytes: number): void {
    const { maxQueuedMessages, maxQueuedBytes } = this.#options;
    while ((this.size >= maxQueuedMessages || this.weight + bytes > maxQueuedBytes) && this.size > 0) {
      const { gap } = super.take()!;
      if (gap !== undefined) this.#headGap = merge(this.#headGap, gap);
      if (this.#headDropped++ === 0) this.#headDroppedAt = this.#owner.clock.date();
      this.#dropped++;
      this.#tellOverflow();
    }
  }

  #tellOverflow(): void {
    this.#untold++;
    const now = this.#owner.clock.now();
    if (now - this.#toldAt < OVERFLOW_EVENT_MS) return;
    this.#toldAt = now;
    this.#owner.overflowed(this.#untold);
    this.#untold = 0;
  }

  #takeHeadGap(): Gap | undefined {
    if (this.#untold > 0) this.#owner.overflowed(this.#untold);
    this.#untold = 0;
    const dropped = this.#headDropped;
    const overflow: Gap | undefined = dropped === 0
      ? undefined
      : { reasons: ["overflow"], since: new Date(this.#headDroppedAt), downMs: 0, dropped };
    const gap = merge(this.#headGap, overflow);
    this.#headGap = undefined;
    this.#headDropped = 0;
    return gap;
  }

  #makeFree(): void {
    this.#room = "free";
    this.#owner.full(this, false);
  }
}
