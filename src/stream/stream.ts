/**
 * A true `ReadableStream` over a queue of ours. The platform's own queue stays empty (`highWaterMark: 0`), since
 * `controller.error()` would discard what waits there, and the stream's async iterator takes from our queue directly:
 * that is several times as fast as one `pull` an item. Whoever takes directly holds the stream's lock meanwhile.
 *
 * @module
 */

import { returned, yielded } from "./result.ts";

/** As it was when this was loaded: the platform's own iterators do not see what somebody patches later, either. */
const { getReader } = ReadableStream.prototype;

/** What a {@linkcode QueueStream} reads from. */
export interface Source<T> {
  /** How many items there are to take. */
  readonly size: number;
  /** `ended` and `failed` count once nothing is left to take. */
  readonly state: "open" | "ended" | "failed";
  /** Why it failed. */
  readonly error: unknown;
  /** The next item, if there is one now. */
  take(): T | undefined;
  /** The next items, as many as there are now, at most `most`. */
  takeMany(most: number): T[];
  /** Resolves when there may be something to take, or the state has changed. */
  wait(): Promise<void>;
  /**
   * Waits for one item, where there is none now: it is taken, and `give` called with it, as soon as there is one and before
   * anything else happens. If something else changes first, `look` is called instead. Gives the `give` that it replaces.
   */
  hand?(give: Give<T> | undefined, look: () => void): Give<T> | undefined;
  /** Does somebody wait so? */
  readonly isAwaited?: boolean;
  /** The consumer has gone. Resolves when everything is let go of. */
  cancel(reason: unknown): Promise<void>;
  /** Set by the stream: hears that the state is no longer `open`, and then that what waited was dropped. */
  onEnd: (() => void) | undefined;
}

/** Answers a call of `next`. A method, as types go: so a stream of one thing is a stream of anything. */
export type Give<T> = { give(result: IteratorResult<T> | Promise<IteratorResult<T>>): void }["give"];

// As the platform has them; not every set of declarations that users compile with has names for them.
interface IterationOptions {
  preventCancel?: boolean | undefined;
}
interface Values<T> extends AsyncIterableIterator<T>, AsyncDisposable {
  [Symbol.asyncIterator](): Values<T>;
}

/** The stream. `pipeTo`, `pipeThrough`, `tee`, `getReader` and `cancel` are the platform's own. */
export class QueueStream<T> extends ReadableStream<T> {
  #inlet: Inlet<T>;

  /** Reads from `source`, which has no other consumer. */
  constructor(source: Source<T>) {
    const inlet = new Inlet(source);
    super(inlet, { highWaterMark: 0 });
    this.#inlet = inlet;
  }

  /**
   * Takes the place of a reader.
   *
   * @throws {TypeError} when the stream is locked
   */
  direct(): Direct<T> {
    return new Direct(getReader.call(this) as ReadableStreamDefaultReader<T>, this.#inlet);
  }

  /** Iterates as the platform's streams do: leaving the loop cancels the stream, unless `preventCancel` is set. */
  override values(options?: IterationOptions | null): Values<T> {
    // Asked first: a getter that throws must not leave the stream locked.
    const preventCancel = Boolean(options?.preventCancel);
    return new DirectIterator(this.direct(), preventCancel);
  }

  /** As {@linkcode values}. */
  override [Symbol.asyncIterator](options?: IterationOptions | null): Values<T> {
    return this.values(options);
  }
}

/** The platform's side: one `pull` an item. */
class Inlet<T> {
  readonly source: Source<T>;
  /** Set by whoever takes directly: hears that the state is no longer `open`. */
  onDirectEnd: (() => void) | undefined;
  #controller!: ReadableStreamDefaultController<T>;
  #state: "open" | "finished" = "open";
  /** While somebody takes directly, a `pull` that an earlier reader left behind must not. */
  #held: { readonly over: Promise<void>; readonly release: () => void } | undefined;

  constructor(source: Source<T>) {
    this.source = source;
  }

  /** Has an earlier `pull` put an item into the platform's queue that nobody has read? */
  get hasLeftOver(): boolean {
    return this.#state === "open" && this.#controller.desiredSize! < 0;
  }

  start(controller: ReadableStreamDefaultController<T>): void {
    this.#controller = controller;
    this.source.onEnd = () => {
      this.finish();
      this.onDirectEnd?.();
    };
    this.finish();
  }

  async pull(): Promise<void> {
    for (;;) {
      if (this.#held !== undefined) await this.#held.over;
      else {
        const item = this.source.take();
        if (item !== undefined) {
          this.#controller.enqueue(item);
          return this.finish();
        }
        if (this.source.state !== "open") return this.finish();
        await this.source.wait();
      }
    }
  }

  async cancel(reason: unknown): Promise<void> {
    this.#state = "finished";
    await this.source.cancel(reason);
  }

  /** Ends the platform's stream as the source has ended, once nothing is left to take. */
  finish(): void {
    if (this.#state === "finished" || this.source.state === "open" || this.source.size > 0) return;
    // An error would discard an item that the platform still holds: the next `pull` comes after it.
    if (this.source.state === "failed" && this.hasLeftOver) return;
    this.#state = "finished";
    if (this.source.state === "ended") this.#controller.close();
    else this.#controller.error(this.source.error);
  }

  hold(): void {
    let release = () => {};
    const over = new Promise<void>((resolve) => release = resolve);
    this.#held = { over, release };
  }

  release(): void {
    this.onDirectEnd = undefined;
    this.#held?.release();
    this.#held = undefined;
  }
}

/** What has come since the last read, as one chunk. */
export class BatchSource<T> implements Source<readonly T[]> {
  #direct: Direct<T>;
  #most: number;

  /** Chunks of at most `most` items. */
  constructor(direct: Direct<T>, most: number) {
    this.#direct = direct;
    this.#most = most;
  }

  get size(): number {
    return this.#direct.size;
  }

  get state(): "open" | "ended" | "failed" {
    return this.#direct.state;
  }

  get error(): unknown {
    return this.#direct.error;
  }

  set onEnd(run: (() => void) | undefined) {
    this.#direct.onEnd = run;
  }

  take(): readonly T[] | undefined {
    const batch = this.#direct.takeMany(this.#most);
    return batch.length === 0 ? undefined : batch;
  }

  takeMany(most: number): (readonly T[])[] {
    const batches: (readonly T[])[] = [];
    for (let batch; batches.length < most && (batch = this.take()) !== undefined;) batches.push(batch);
    return batches;
  }

  wait(): Promise<void> {
    return this.#direct.wait();
  }

  cancel(reason: unknown): Promise<void> {
    return this.#direct.cancel(reason);
  }
}

/** Takes from the source past the platform's queue, and holds the lock of the stream. */
export class Direct<T> implements Omit<Source<T>, "onEnd"> {
  #reader: ReadableStreamDefaultReader<T>;
  #inlet: Inlet<T>;
  #leftOver: "unread" | "none";
  #first: T | undefined;

  /** Takes over what `reader` has locked. */
  constructor(reader: ReadableStreamDefaultReader<T>, inlet: Inlet<T>) {
    this.#reader = reader;
    this.#inlet = inlet;
    this.#leftOver = inlet.hasLeftOver ? "unread" : "none";
    inlet.hold();
  }

  /** Hears that the state is no longer `open`. */
  set onEnd(run: (() => void) | undefined) {
    this.#inlet.onDirectEnd = run;
  }

  /** How many items there are to take. */
  get size(): number {
    return this.#inlet.source.size + Number(this.#first !== undefined || this.#leftOver === "unread");
  }

  /** The next item, if there is one now. */
  take(): T | undefined {
    if (this.#leftOver === "unread") return undefined;
    if (this.#first === undefined) return this.#inlet.source.take();
    const item = this.#first;
    this.#first = undefined;
    return item;
  }

  /** The next items, as many as there are now, at most `most`. */
  takeMany(most: number): T[] {
    const first = this.#first === undefined ? undefined : this.take();
    if (first !== undefined) return [first];
    return this.#leftOver === "unread" ? [] : this.#inlet.source.takeMany(most);
  }

  /** Is there nothing more to come? Asked when nothing is to be taken. */
  get state(): "open" | "ended" | "failed" {
    return this.size > 0 ? "open" : this.#inlet.source.state;
  }

  /** Why it failed. */
  get error(): unknown {
    return this.#inlet.source.error;
  }

  /** Resolves when there may be something to take, or the state has changed. */
  wait(): Promise<void> {
    return this.#leftOver === "none" ? this.#inlet.source.wait() : this.#readLeftOver();
  }

  /** The short way past this: the source itself, or this where it has something that the source has not. */
  get shortest(): Pick<Source<T>, "take" | "state" | "hand" | "isAwaited"> {
    return this.#leftOver === "none" ? this.#inlet.source : this;
  }

  async #readLeftOver(): Promise<void> {
    this.#first = (await this.#reader.read()).value;
    this.#leftOver = "none";
  }

  /** Cancels the stream, and gives up its lock. */
  async cancel(reason?: unknown): Promise<void> {
    // With the last item that was taken the stream may have come to its end: then there is nothing to cancel.
    this.#inlet.finish();
    const cancelled = this.#reader.cancel(reason);
    this.release();
    await cancelled;
  }

  /** Gives up the lock. */
  release(): void {
    this.#inlet.finish();
    this.#inlet.release();
    this.#reader.releaseLock();
  }
}

class DirectIterator<T> implements Values<T> {
  /** Inherited, see below, where the runtime has one. */
  declare [Symbol.asyncDispose]: () => Promise<void>;
  #direct: Direct<T>;
  #source: Direct<T>["shortest"];
  #preventCancel: boolean;
  #state: "open" | "done" = "open";
  /** The last call that is not answered, but for the one that the source is to answer. */
  #last: Promise<unknown> | undefined;

  constructor(direct: Direct<T>, preventCancel: boolean) {
    this.#direct = direct;
    this.#source = direct.shortest;
    this.#preventCancel = preventCancel;
  }

  next(): Promise<IteratorResult<T>> {
    const source = this.#source;
    if (this.#state === "open" && this.#last === undefined) {
      const item = source.take();
      if (item !== undefined) return Promise.resolve(yielded(item));
      if (source.isAwaited === false && source.state === "open") return new Promise(this.#hand);
    }
    return this.#answer(() => this.#wait(), this.#before());
  }

  /** One for all calls: a closure for each is a fifth of what a wait makes. */
  #hand = (give: Give<T>): void => void this.#source.hand!(give, this.#look);

  /** A wait is over, and it was not an item that ended it. */
  #look = (): void => {
    const give = this.#source.hand!(undefined, this.#look)!;
    const item = this.#state === "open" ? this.#source.take() : undefined;
    if (item !== undefined) return give(yielded(item));
    // Not before whoever has called is done.
    const answer = this.#wait(Promise.resolve());
    this.#last ??= answer;
    this.#forget(answer);
    give(answer);
  };

  /** What a call has to wait for. */
  #before(): Promise<unknown> | undefined {
    if (this.#last !== undefined || this.#source.isAwaited !== true) return this.#last;
    return new Promise((resolve) => {
      const give = this.#source.hand!((result) => {
        give!(result);
        resolve(result);
      }, this.#look);
    });
  }

  return(value?: unknown): Promise<IteratorResult<T>> {
    // A `next` that waits has its item first. After a cancel there would be none for it.
    const before = this.#state === "open" && !this.#preventCancel ? undefined : this.#before();
    return this.#answer(() => this.#leave(value), before);
  }

  /** Answers a call after the one `before` it; what is asked for meanwhile is answered after it. */
  #answer(run: () => Promise<IteratorResult<T>>, before: Promise<unknown> | undefined): Promise<IteratorResult<T>> {
    const answer = before === undefined ? run() : before.then(run, run);
    this.#last = answer;
    this.#forget(answer);
    return answer;
  }

  /** Once it is settled. */
  #forget(answer: Promise<unknown>): void {
    const leave = () => {
      if (this.#last === answer) this.#last = undefined;
    };
    answer.then(leave, leave);
  }

  async #wait(until?: Promise<void>): Promise<IteratorResult<T>> {
    // Here and not in a `then`: what that gave would for a moment be a rejection that nobody hears of.
    if (until !== undefined) await until;
    while (this.#state === "open") {
      const item = this.#direct.take();
      if (item !== undefined) return yielded(item);
      if (this.#direct.state === "open") await this.#direct.wait();
      else {
        this.#state = "done";
        this.#direct.release();
        if (this.#direct.state === "failed") throw this.#direct.error;
      }
    }
    return returned(undefined);
  }

  async #leave(value: unknown): Promise<IteratorResult<T>> {
    if (this.#state === "open") {
      this.#state = "done";
      if (this.#preventCancel) this.#direct.release();
      else await this.#direct.cancel(value);
    }
    return returned(value);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

// As those of the platform do: `await using` finds its method there, where the runtime has one.
Object.setPrototypeOf(
  DirectIterator.prototype,
  Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype),
);
