/**
 * What one stream delivers: a bounded queue, its overflow policy, its codec, and the gaps that it has to tell.
 *
 * A gap is told on the message behind it. There are two places where one may grow before that message is known: before
 * the oldest that waits, where messages are dropped, and before the next that comes, where a connection was lost or
 * messages were left out.
 *
 * @module
 */

import { type Codec, text } from "../codec.ts";
import type { Clock } from "../connection/clock.ts";
import { DecodeError, type RedisError } from "../errors.ts";
import type { Gap, GapReason, Message } from "../message.ts";
import type { Run } from "../run/run.ts";
import type { Receiver } from "../run/topics.ts";
import type { Source } from "../stream/stream.ts";
import { SuppliedQueue } from "../stream/supplied_queue.ts";
import { Backfill } from "./backfill.ts";
import { lossGap, merge, Place, replacedGap, withGap } from "./gap.ts";
import { Newest } from "./newest.ts";
import type { StreamSettings } from "./options.ts";
import { Drops, type Limited, POLICIES, type Policy } from "./overflow.ts";
import { decodeMessage, isPlain, messageOf } from "./payload.ts";

/** Whom a delivery tells. */
export interface DeliveryOwner {
  readonly clock: Clock;
  /** Messages were dropped, `dropped` since this was last told. */
  overflowed(dropped: number): void;
  /** A payload could not be decoded, and was skipped, or a gap could not be filled. */
  erred(error: RedisError): void;
  /** Reading is to stop, or may go on, as far as this stream is concerned. */
  room(delivery: Delivery, room: Room): void;
  /** The consumer has gone, or nothing can be delivered any more. Must not reject. */
  gone(delivery: Delivery): Promise<void>;
}

/**
 * Has a queue room? `full`: it has none, and its stream blocks. `turn`: it has none, but its consumer keeps up when it
 * is given a turn. It is given one now, which ends by itself very soon.
 */
export type Room = "free" | "full" | "turn";

/** What has been. */
export interface Past {
  delivered: number;
  dropped: number;
  skipped: number;
  backfilled: number;
}

/** What has been, and what waits. */
export interface Counts extends Past {
  queued: number;
  queuedBytes: number;
}

/** One stream's queue. */
export class Delivery<T = unknown> extends SuppliedQueue<Message<T>> implements Receiver, Limited<T> {
  /** How payloads become values. */
  readonly codec: Codec<T>;
  #settings: StreamSettings<T>;
  #owner: DeliveryOwner;
  #policy: Policy;
  /** With so many messages, or bytes with the one that comes, the policy is asked. */
  #limit: number;
  #limitBytes: number;
  #room: Room = "free";
  /** `quick`: the consumer has taken everything, and had no turn since in which it left too much. */
  #pace: "quick" | "slow" = "slow";
  /** Calls off the end of the turn that the consumer was given. */
  #endTurn: (() => void) | undefined;
  /** With `latest`: where each channel's message waits. */
  #newest: Newest | undefined;
  #backfill: Backfill<T> | undefined;
  /** What is missing before the oldest message that waits. */
  #head: Place | undefined;
  /** The same, while those before it are still being given to the consumer. */
  #behind: Place | undefined;
  /** What is missing before the next message that comes. */
  #tail: Place | undefined;
  /** Since when the connection is lost, on the clock, and how. */
  #lostSince: number | undefined;
  #reasons = new Set<GapReason>();
  #standing: "whole" | "lost" = "whole";
  /** Has this loss been told on a message? Once when the first one comes, and once when every name is back. */
  #loss: "untold" | "told" = "untold";
  #past: Past = { delivered: 0, dropped: 0, skipped: 0, backfilled: 0 };
  #drops: Drops;

  /** Delivers as `settings` say. */
  constructor(settings: StreamSettings<T>, owner: DeliveryOwner) {
    super(() => owner.gone(this));
    this.codec = settings.codec;
    this.#settings = settings;
    this.#owner = owner;
    this.#drops = new Drops(owner);
    const { overflow, maxQueuedMessages, maxQueuedBytes, backfill } = settings;
    this.#policy = POLICIES[overflow];
    if (overflow === "latest") this.#newest = new Newest();
    this.#limit = overflow === "latest" ? 0 : maxQueuedMessages - 1;
    this.#limitBytes = maxQueuedBytes;
    if (backfill !== undefined) this.#backfill = new Backfill(this, settings, owner, () => this.#past.backfilled++);
  }

  /** What the consumer reads from. */
  get source(): Source<Message<T>> {
    return this.#backfill ?? this;
  }

  /** What has been, and what waits. */
  counts(): Counts {
    return { ...this.#past, queued: this.size, queuedBytes: this.weight };
  }

  /** From now on all that this counts, and has counted, is part of `past`: what waits may still be taken. */
  countInto(past: Past): void {
    for (const what of Object.keys(past) as (keyof Past)[]) past[what] += this.#past[what];
    this.#past = past;
  }

  /** Takes message `i` of a run; and those behind it that are for this stream, where there is nothing to it but to put them in. */
  receive(run: Run, i: number): void {
    const { codec } = this;
    if (!this.#isOpenTo(run)) return this.accept(decodeMessage(codec, run, i), run.size(i));
    if (this.#receiveBunch(run, i)) return;
    const { route } = run.topic(i);
    for (; i < run.count && run.topic(i).route === route; i++) super.put(messageOf(codec, run, i), run.size(i));
    run.taken = i;
  }

  /** Takes a group of messages, where the consumer is quick: it asks for those behind them. */
  #receiveBunch(run: Run, i: number): boolean {
    if ((this.codec as Codec<unknown>) !== text || this.#pace === "slow") return false;
    const last = i + this.least - 1;
    if (last >= run.count || run.topic(last).route !== run.topic(i).route) return false;
    const bunch: Message<unknown>[] = this.bunch;
    const end = run.textsInto(bunch as Message<string>[], i, this.most);
    if (end === i) return false;
    run.taken = end;
    if (this.putBunch(bunch as Message<T>[], run)) run.state = "resting";
    return true;
  }

  /** Of a text that is ASCII. */
  protected override weigh({ payload }: Message<T>): number {
    return (payload as string).length;
  }

  /** Takes what became of a message: itself, or why it cannot be decoded. */
  accept(decoded: Message<T> | DecodeError, bytes: number): void {
    if (decoded instanceof DecodeError) this.reject(decoded);
    else this.deliver(decoded, bytes);
  }

  /** Puts a message in. `message` is shared with other streams unless this one has a gap to tell. */
  deliver(message: Message<T>, bytes: number): void {
    const hasGap = this.#lostSince !== undefined || this.#tail !== undefined || this.#head !== undefined;
    if (!hasGap && this.pass(message)) return void this.#past.delivered++;
    if (this.state !== "open") return;
    if (this.#lostSince !== undefined && this.#loss === "untold") {
      this.#tellLoss(this.#owner.clock.now() - this.#lostSince);
    }
    if (this.size < this.#limit && this.weight + bytes < this.#limitBytes) this.put(message, bytes);
    else this.#deliverAtLimit(message, bytes);
  }

  /** A payload that came could not be decoded. */
  reject(error: DecodeError): void {
    if (this.#settings.onDecodeError === "error") {
      this.fail(error);
      return;
    }
    this.#past.skipped++;
    this.#owner.erred(error);
  }

  override put(message: Message<T>, bytes: number): void {
    if (this.#tail !== undefined) message = withGap(message, this.#takeTail());
    this.#newest?.add(message, this.size);
    super.put(message, bytes);
  }

  fits(bytes: number): boolean {
    const { maxQueuedMessages, maxQueuedBytes } = this.#settings;
    return this.size === 0 || (this.size < maxQueuedMessages && this.weight + bytes <= maxQueuedBytes);
  }

  makeRoom(bytes: number): void {
    while (!this.fits(bytes)) this.#dropOldest();
  }

  leaveOut(): void {
    (this.#tail ??= new Place()).drop(this.#owner.clock);
    this.#countDrop();
  }

  replace(message: Message<T>, bytes: number): boolean {
    for (let at; (at = this.#newest?.find(message)) !== undefined; this.#dropOldest()) {
      if (this.weight - this.weightAt(at) + bytes > this.#settings.maxQueuedBytes) continue;
      this.replaceAt(at, withGap(message, replacedGap(this.at(at)!.gap, this.#owner.clock)), bytes);
      this.#countDrop();
      return true;
    }
    return false;
  }

  override take(): Message<T> | undefined {
    const message = super.take();
    if (message === undefined) return void (this.#pace = "quick");
    this.#newest?.left(message);
    this.#taken(1);
    return this.#head === undefined ? message : withGap(message, this.#takeHead());
  }

  override takeMany(most: number): Message<T>[] {
    const messages = super.takeMany(most);
    const first = messages[0];
    if (first === undefined) {
      this.#pace = "quick";
      return messages;
    }
    if (this.#newest !== undefined) { for (const message of messages) this.#newest.left(message); }
    this.#taken(messages.length);
    if (this.#head !== undefined) messages[0] = withGap(first, this.#takeHead());
    [this.#head, this.#behind] = [this.#behind, undefined];
    return messages;
  }

  override async drained(): Promise<void> {
    await super.drained();
    await this.#backfill?.idle();
  }

  override clear(): void {
    super.clear();
    this.#newest?.clear();
    this.#head = this.#behind = this.#tail = undefined;
    this.#backfill?.clear();
    this.#leave();
  }

  override end(): void {
    super.end();
    this.#leave();
    this.#backfill?.look();
  }

  override fail(error: unknown): void {
    if (this.state !== "open") return;
    super.fail(error);
    this.#leave();
    this.#backfill?.look();
    this.#owner.gone(this);
  }

  /** The connection is lost that was heard last at `since`, on the clock. */
  lost(since: number, reason: GapReason = "reconnect"): void {
    this.#lostSince ??= since;
    this.#loss = "untold";
    this.#standing = "lost";
    this.#reasons.add(reason);
  }

  /**
   * The connection is good again; `refused` where it has not got back every name of this stream. `regained`: a name is
   * back that was refused.
   */
  recovered(now: number, refused = false, regained = false): void {
    if (this.#lostSince === undefined) return;
    this.#standing = "whole";
    // What is lost on a name that was refused goes on being lost.
    if (refused || regained) this.#reasons.add("denied");
    if (!refused || regained) this.#tellLoss(now - this.#lostSince);
    if (!refused) {
      this.#lostSince = undefined;
      this.#reasons.clear();
    }
    this.#backfill?.look();
    this.wake();
  }

  /** `lost`: not every name is answered for on a new connection, and that may still come. */
  get standing(): "whole" | "lost" {
    return this.state === "open" ? this.#standing : "whole";
  }

  /** What is missing, and may still be filled, where no message waits. */
  get openGap(): Gap | undefined {
    const gap = this.size > 0 ? undefined : merge(this.#head?.gap(), this.#tail?.gap());
    return gap?.backfill === undefined ? gap : undefined;
  }

  /** Takes {@linkcode openGap}: it is not told on that message. */
  takeOpenGap(): Gap | undefined {
    const gap = this.openGap;
    if (gap !== undefined) this.#head = this.#tail = undefined;
    return gap;
  }

  /** Tells a gap before the oldest message that waits, or the next that comes. */
  giveGap(gap: Gap): void {
    (this.#head ??= new Place()).add(gap);
  }

  /** The drops that no event has told, told now. */
  tellDrops(): void {
    this.#drops.tell();
  }

  #deliverAtLimit(message: Message<T>, bytes: number): void {
    this.#policy(this, message, bytes);
    const { overflow } = this.#settings;
    if (this.state !== "open" || !this.#holds(1)) return;
    // Also when it was full before: a connection that has come since reads until it is told.
    if (overflow === "block") this.#setRoom("full");
    else if (this.#pace === "quick" && this.#room === "free") {
      // What comes in one go would be dropped before the consumer could look.
      this.#setRoom("turn");
      this.#endTurn = this.#owner.clock.after(1, () => {
        this.#pace = "slow";
        this.#makeFree();
      });
    }
  }

  /** Asked once for a run of several: nobody is called until all of it is in, so nothing of this changes meanwhile. */
  #isOpenTo({ count, span }: Run): boolean {
    return count > 1 && isPlain(this.codec) && this.state === "open" && this.#tail === undefined &&
      (this.#lostSince === undefined || this.#loss === "told") && this.size + count < this.#limit &&
      this.weight + span < this.#limitBytes;
  }

  #taken(count: number): void {
    this.#past.delivered += count;
    // Half empty, so that the socket is not stopped and started for every message.
    if (this.#room !== "free" && !this.#holds(0.5)) this.#makeFree();
  }

  #tellLoss(downMs: number): void {
    this.#loss = "told";
    const gap = lossGap(this.#owner.clock, downMs, this.#reasons);
    if (this.#backfill?.grow(gap)) return;
    // With `latest`, what comes may overtake what waits: the next that is taken tells it, whichever that is.
    if (this.#newest !== undefined) this.giveGap(gap);
    else (this.#tail ??= new Place()).add(gap);
  }

  /** Is the queue as full as this share of either limit? */
  #holds(share: number): boolean {
    const { maxQueuedMessages, maxQueuedBytes } = this.#settings;
    return this.size >= maxQueuedMessages * share || this.weight >= maxQueuedBytes * share;
  }

  #dropOldest(): void {
    const message = super.take()!;
    this.#newest?.left(message);
    const place = this.isGiving ? this.#behind ??= new Place() : this.#head ??= new Place();
    if (message.gap !== undefined) place.add(message.gap);
    place.drop(this.#owner.clock);
    this.#countDrop();
  }

  #countDrop(): void {
    this.#past.dropped++;
    this.#drops.count(this);
  }

  #takeHead(): Gap | undefined {
    const gap = this.#head!.gap();
    this.#head = undefined;
    return gap;
  }

  #takeTail(): Gap | undefined {
    const gap = this.#tail!.gap();
    this.#tail = undefined;
    return gap;
  }

  #setRoom(room: Room): void {
    this.#room = room;
    this.#owner.room(this, room);
  }

  #makeFree(): void {
    this.#endTurn?.();
    this.#endTurn = undefined;
    this.#setRoom("free");
  }

  /** Nothing more will come, or what waited is dropped: the socket is let go of, and no timer is left. */
  #leave(): void {
    if (this.#room !== "free") this.#makeFree();
    this.tellDrops();
  }
}
