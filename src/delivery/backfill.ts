/**
 * Fills gaps from somewhere else, such as a log: what that gives is delivered in the place of the gap.
 *
 * It stands between a delivery and its consumer. When the consumer comes to a gap, the message behind it is held, and
 * what came later waits in the delivery, within its limits. So whoever reads slowly is filled slowly.
 *
 * @module
 */

import type { Clock } from "../connection/clock.ts";
import { ConnectionError, RedisError, TimeoutError } from "../errors.ts";
import type { Gap, Message } from "../message.ts";
import type { Source } from "../stream/stream.ts";
import { merge, settled } from "./gap.ts";
import type { StreamSettings } from "./options.ts";

/** A delivery, as this sees it. */
export interface Gapped<T> extends Source<Message<T>> {
  /** `lost`: not every name is answered for on a new connection, and that may still come. */
  readonly standing: "whole" | "lost";
  /** What is missing, and may still be filled, where no message waits. */
  readonly openGap: Gap | undefined;
  /** Takes it. */
  takeOpenGap(): Gap | undefined;
  /** Tells a gap before the next message. */
  giveGap(gap: Gap): void;
}

/** Whom it tells. */
export interface BackfillOwner {
  readonly clock: Clock;
  /** A gap could not be filled. */
  erred(error: RedisError): void;
}

type Outcome = NonNullable<Gap["backfill"]>;

/** What the consumer reads from. */
export class Backfill<T> implements Source<Message<T>> {
  onEnd: (() => void) | undefined;
  #delivery: Gapped<T>;
  #settings: StreamSettings<T>;
  #owner: BackfillOwner;
  #count: () => void;
  #fill: Fill<T> | undefined;
  /** The message behind the gap, where there is one. */
  #held: Message<T> | undefined;
  /** Who waits for something to take, and who for the end of all filling. */
  #awaited: (() => void)[] = [];
  #idlers: (() => void)[] = [];

  /** Fills the gaps of `delivery`; `count` hears that a message was taken in the place of another. */
  constructor(delivery: Gapped<T>, settings: StreamSettings<T>, owner: BackfillOwner, count: () => void) {
    this.#delivery = delivery;
    this.#settings = settings;
    this.#owner = owner;
    this.#count = count;
    delivery.onEnd = () => this.onEnd?.();
  }

  get size(): number {
    return this.#fill === undefined ? this.#delivery.size + (this.#held === undefined ? 0 : 1) : this.#fill.size;
  }

  get state(): "open" | "ended" | "failed" {
    return this.#isIdle() ? this.#delivery.state : "open";
  }

  get error(): unknown {
    return this.#delivery.error;
  }

  take(): Message<T> | undefined {
    if (this.#fill !== undefined) {
      const message = this.#fill.take();
      if (message !== undefined) this.#count();
      return message;
    }
    const message = this.#held ?? this.#delivery.take();
    if (this.#held !== undefined) {
      this.#held = undefined;
      this.#tellIdle();
      return message;
    }
    const gap = message === undefined ? this.#delivery.takeOpenGap() : message.gap;
    if (gap === undefined || !this.#isOpen(gap)) return message;
    this.#held = message;
    this.#fill = new Fill(gap, this.#settings, this.#owner, (outcome) => this.#settle(outcome));
    this.look();
    // It may be over already.
    return this.take();
  }

  takeMany(most: number): Message<T>[] {
    const messages: Message<T>[] = [];
    for (let message; messages.length < most && (message = this.take()) !== undefined;) messages.push(message);
    return messages;
  }

  wait(): Promise<void> {
    if (this.#fill === undefined && this.#held === undefined) return this.#delivery.wait();
    if (this.size > 0) return Promise.resolve();
    return new Promise((resolve) => this.#awaited.push(resolve));
  }

  cancel(reason: unknown): Promise<void> {
    return this.#delivery.cancel(reason);
  }

  /** Resolves when no gap is being filled, or waits to be. */
  idle(): Promise<void> {
    return this.#isIdle() ? Promise.resolve() : new Promise((resolve) => this.#idlers.push(resolve));
  }

  /** The whole of a gap is known; false where its place has gone by. */
  grow(gap: Gap): boolean {
    return this.#fill?.grow(gap) ?? false;
  }

  /** Names may be back, or nothing more will come. */
  look(): void {
    if (this.#delivery.standing === "whole") this.#fill?.start();
  }

  /** Gives up what it fills, and drops what it holds. */
  clear(): void {
    this.#held = undefined;
    this.#fill?.stop("unfilled", new ConnectionError("Gave up filling a gap: the stream was closed"));
    this.#tellIdle();
  }

  /** With `latest` the queue drops what nobody wants any more. */
  #isOpen({ backfill, reasons }: Gap): boolean {
    const intended = this.#settings.overflow === "latest" && reasons.every((reason) => reason === "overflow");
    return backfill === undefined && !intended;
  }

  #isIdle(): boolean {
    return this.#fill === undefined && this.#held === undefined && this.#delivery.openGap === undefined;
  }

  #tellIdle(): void {
    if (this.#isIdle()) { for (const tell of this.#idlers.splice(0)) tell(); }
  }

  /** There may be something to take. */
  #settle(outcome: Outcome | undefined): void {
    if (outcome !== undefined) {
      const gap = settled(this.#fill!.gap, outcome);
      this.#fill = undefined;
      if (this.#held === undefined) this.#delivery.giveGap(gap);
      else this.#held = { ...this.#held, gap };
      this.#tellIdle();
    }
    for (const tell of this.#awaited.splice(0)) tell();
    if (outcome !== undefined) this.onEnd?.();
  }
}

/** What fills one gap. It reads one message ahead. */
class Fill<T> {
  gap: Gap;
  #settings: StreamSettings<T>;
  #owner: BackfillOwner;
  #tell: (outcome: Outcome | undefined) => void;
  /** `waiting`: what is published is not heard on every name yet, so the log would be read too early. */
  #state: "waiting" | "started" | "over" = "waiting";
  #iterator: AsyncIterator<Message<T>> | undefined;
  #next: Message<T> | undefined;
  #abort = new AbortController();
  #leftMs: number;
  #since = 0;
  #endCount: () => void = () => {};

  /** `tell` hears that there is a message, or that it is over. */
  constructor(
    gap: Gap,
    settings: StreamSettings<T>,
    owner: BackfillOwner,
    tell: (outcome: Outcome | undefined) => void,
  ) {
    this.gap = gap;
    this.#settings = settings;
    this.#owner = owner;
    this.#tell = tell;
    this.#leftMs = settings.backfillTimeoutMs;
    this.#count();
  }

  get size(): number {
    return this.#next === undefined ? 0 : 1;
  }

  grow(gap: Gap): boolean {
    if (this.#state !== "waiting") return false;
    this.gap = merge(this.gap, gap)!;
    return true;
  }

  start(): void {
    if (this.#state !== "waiting") return;
    this.#state = "started";
    this.#run();
  }

  take(): Message<T> | undefined {
    const message = this.#next;
    this.#next = undefined;
    if (message !== undefined) {
      this.#count();
      this.#ask();
    }
    return message;
  }

  /** Ends it; what the iterator says then is not heard. */
  stop(outcome: Outcome, reason?: RedisError): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#next = undefined;
    this.#endCount();
    this.#tell(outcome);
    if (reason === undefined) return;
    this.#abort.abort(reason);
    const iterator = this.#iterator;
    (async () => await iterator?.return?.())().catch(() => {});
  }

  async #run(): Promise<void> {
    try {
      const iterable = this.#settings.backfill!(this.gap, this.#abort.signal);
      if (this.#state === "over") return;
      this.#iterator = iterable?.[Symbol.asyncIterator]();
      if (this.#iterator === undefined) return this.stop("unfilled");
    } catch (error) {
      return this.#fail(error);
    }
    await this.#ask();
  }

  async #ask(): Promise<void> {
    try {
      const { value, done } = await this.#iterator!.next();
      this.#endCount();
      this.#leftMs -= this.#owner.clock.now() - this.#since;
      if (done) return this.stop("filled");
      if (typeof value !== "object" || value === null) throw new TypeError("backfill must give messages");
      this.#next = value;
      this.#tell(undefined);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(cause: unknown): void {
    if (this.#state === "over") return;
    const error = cause instanceof RedisError ? cause : new RedisError("A gap could not be filled", { cause });
    this.#owner.erred(error);
    this.stop("unfilled", error);
  }

  /** Time runs while something is waited for that is not the consumer. */
  #count(): void {
    const { clock } = this.#owner;
    this.#since = clock.now();
    this.#endCount = clock.after(
      this.#leftMs,
      () => this.#fail(new TimeoutError("backfill", this.#settings.backfillTimeoutMs)),
    );
  }
}
