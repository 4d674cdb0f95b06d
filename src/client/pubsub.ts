/**
 * What users hold: a subscriber on a connection of its own, and its streams.
 *
 * @module
 */

import type { KindedName } from "../supervisor/calls.ts";
import type { Subscription } from "../supervisor/roster.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { type CallOptions, checkCall, within } from "../connection/wait.ts";
import { Delivery, type DeliveryOwner, type Room } from "../delivery/delivery.ts";
import { lossGap } from "../delivery/gap.ts";
import { checkKeys, resolveStreamOptions, type StreamOptions, whole } from "../delivery/options.ts";
import { ConnectionError, DecodeError, OverflowError } from "../errors.ts";
import type { ClientEvent } from "../event.ts";
import type { Kind, Message } from "../message.ts";
import { KIND_NAMES, KINDS } from "../protocol/kind.ts";
import { type Names, publicNames } from "../name.ts";
import type { Topology } from "../topology/topology.ts";
import { Events } from "./events.ts";
import { Hub } from "./hub.ts";
import type { BatchOptions, PubSubOptions, Settings } from "./options.ts";
import { type PubSubStats, Tally } from "./stats.ts";
import { BatchSource, QueueStream } from "../stream/stream.ts";

/** Names of a local stream. */
export interface StreamNames {
  /** Channels, as of SUBSCRIBE. */
  channels?: Names;
  /** Patterns, as of PSUBSCRIBE. */
  patterns?: Names;
  /** Shard channels, as of SSUBSCRIBE. */
  shardChannels?: Names;
}

type NamesByKind = readonly (readonly [kind: Kind, names: readonly string[]])[];

/** Of many names so many are asked for before the next are looked at: the server begins with them. */
const PART_NAMES = 1_024;

/** A chunk of {@linkcode PubSub.batches} has at most so many: on Bun a larger one that is still held costs up to 7 %. */
const MOST_BATCH = 256;

/** How long {@linkcode PubSub.drain} waits for consumers that take nothing, in milliseconds. */
const DRAIN_MS = 30_000;

/**
 * A subscriber on a connection of its own, which it keeps alive. Made by {@linkcode Client.subscribe} and its like.
 *
 * It is an async iterable of messages and holds a `ReadableStream` of them; leaving the loop, cancelling the stream and
 * closing all unsubscribe on the server and close the connection.
 *
 * @example
 * ```ts
 * import { Client } from "@earshot/redis";
 * import { TestBroker } from "@earshot/redis/testing";
 *
 * await using broker = new TestBroker();
 * await using redis = new Client({ dial: broker.dial });
 * await using news = await redis.subscribe("news");
 * broker.publish("news", "hello");
 * for await (const { channel, payload } of news) {
 *   console.log(channel, payload); // news hello
 *   break; // unsubscribes and closes
 * }
 * ```
 */
export class PubSub<T = string> implements AsyncIterable<Message<T>>, AsyncDisposable {
  /**
   * Everything that this handle is subscribed to, in wire order. A true `ReadableStream`: `pipeTo`, `pipeThrough`,
   * `tee`, `getReader`. `cancel()` unsubscribes on the wire, waits for the acknowledgements (bounded by
   * `closeTimeoutMs`) and closes the connection.
   */
  readonly readable: ReadableStream<Message<T>>;

  #settings: Settings;
  #supervisor: Supervisor;
  #hub: Hub;
  #owner: DeliveryOwner;
  #main: Delivery<T>;
  #stream: QueueStream<Message<T>>;
  /** Every delivery that may still be read, the main one first, and the names that a local stream was made for. */
  #deliveries = new Map<Delivery, readonly KindedName[]>();
  /** The streams that want the reading to stop. */
  #blocking = new Map<Delivery, Room>();
  /** How many calls wait for the server. */
  #waiting = 0;
  #events: Events;
  #tally = new Tally();
  #closing: Promise<void> | undefined;
  #onClosed: () => void;
  #stopListening: () => void = () => {};

  /** @internal Use {@linkcode Client.pubsub} or {@linkcode Client.subscribe}. */
  constructor(settings: Settings, topology: Topology, options: PubSubOptions<T>, onClosed: () => void) {
    const { signal, ...streamOptions } = options;
    checkCall({ signal });
    const { clock } = settings.link;
    this.#settings = settings;
    this.#onClosed = onClosed;
    this.#events = new Events(clock, settings.onEvent);
    this.#owner = {
      clock,
      overflowed: (dropped) => this.#events.emit({ type: "overflow", dropped }),
      erred: (error) => this.#events.emit({ type: "error", error }),
      room: (delivery, room) => this.#block(delivery, room),
      gone: (delivery) => this.#gone(delivery),
    };
    this.#main = this.#newDelivery(streamOptions);
    this.readable = this.#stream = new QueueStream(this.#main.source);
    this.#supervisor = new Supervisor({ ...settings, locate: () => topology.locate() }, {
      messages: (run) => {
        const { taken } = run;
        this.#hub.deliver(run);
        const count = run.taken - taken - this.#hub.privately;
        this.#hub.privately = 0;
        if (count > 0) this.#tally.lastMessage = this.#supervisor.lastHeard;
        this.#tally.received += count;
      },
      event: (event, endpoint) => {
        // It is the last one.
        if (event.type === "closed") { for (const delivery of this.#deliveries.keys()) delivery.tellDrops(); }
        this.#events.emit(event, endpoint);
      },
      hearsEvents: () => this.#events.isHeard,
      listen: (channel, heard) => this.#hub.listen(channel, heard),
      lost: (since, confirmed, reason) => this.#hub.lost(since, confirmed, reason, this.#deliveries.size),
      recovered: (since, denied, reasons, regained) => {
        const now = clock.now();
        const refused = this.#hub.holders(denied);
        const back = this.#hub.holders(regained === undefined ? [] : [regained]);
        for (const delivery of this.#deliveries.keys()) {
          delivery.recovered(now, refused.has(delivery), back.has(delivery));
        }
        this.#events.emit({ type: "gap", gap: lossGap(clock, now - since, reasons) });
      },
      abandoned: () => this.#hub.clear(),
      failed: (cause) => this.#main.fail(cause),
    });
    this.#hub = new Hub(this.#supervisor);
    if (signal !== undefined) this.#closeOnAbort(signal);
  }

  /**
   * Subscribes to channels (SUBSCRIBE); resolves when the server has acknowledged every one.
   *
   * @throws {ReplyError} when the server refuses a name, such as `NOPERM`; the other names stay subscribed
   * @throws {ConnectionError} when the first connection fails, or this is closed
   * @throws {TimeoutError} when `timeoutMs` passed first; names that are not acknowledged by then are let go of
   */
  subscribe(channels: Names, options: CallOptions = {}): Promise<void> {
    return this.#join("channel", channels, options);
  }

  /** Subscribes to patterns (PSUBSCRIBE), as {@linkcode subscribe} does to channels. */
  psubscribe(patterns: Names, options: CallOptions = {}): Promise<void> {
    return this.#join("pattern", patterns, options);
  }

  /** Subscribes to shard channels (SSUBSCRIBE, Redis 7.0 and later), as {@linkcode subscribe} does to channels. */
  ssubscribe(channels: Names, options: CallOptions = {}): Promise<void> {
    return this.#join("shard", channels, options);
  }

  /**
   * Unsubscribes from channels, or from all of them (UNSUBSCRIBE); resolves when the server has acknowledged it, or at
   * once while there is no connection. Messages that wait in the queue are still delivered.
   */
  unsubscribe(channels?: Names, options: CallOptions = {}): Promise<void> {
    return this.#leave("channel", channels, options);
  }

  /** Unsubscribes from patterns, or from all of them (PUNSUBSCRIBE), as {@linkcode unsubscribe} does from channels. */
  punsubscribe(patterns?: Names, options: CallOptions = {}): Promise<void> {
    return this.#leave("pattern", patterns, options);
  }

  /** Unsubscribes from shard channels, or from all of them (SUNSUBSCRIBE), as {@linkcode unsubscribe} does from channels. */
  sunsubscribe(channels?: Names, options: CallOptions = {}): Promise<void> {
    return this.#leave("shard", channels, options);
  }

  /**
   * A further local stream over the same connection, for its own names only, with its own queue and codec. A name that
   * several streams have is subscribed once, and unsubscribed when the last lets go of it. `cancel()` lets go of them and
   * leaves the connection. When the server refuses a name, the stream fails with that `ReplyError`.
   *
   * @throws {TypeError} when no name is given, or the handle is closed
   */
  stream<U = T>(names: StreamNames, options: StreamOptions<U> = {}): ReadableStream<Message<U>> {
    checkKeys("a stream", names, { channels: 1, patterns: 1, shardChannels: 1 });
    const byKind: NamesByKind = [
      ["channel", publicNames(names.channels ?? [])],
      ["pattern", publicNames(names.patterns ?? [])],
      ["shard", publicNames(names.shardChannels ?? [])],
    ];
    const all = byKind.flatMap(([kind, list]) => list.map((name): KindedName => ({ kind, name })));
    if (all.length === 0) throw new TypeError("A stream needs a name: channels, patterns or shardChannels");
    if (this.#closing !== undefined) throw new TypeError("Cannot make a stream: the PubSub is closed");
    const codec = options.codec ?? this.#main.codec as unknown as NonNullable<typeof options.codec>;
    const delivery = this.#newDelivery<U>({ ...options, codec }, all);
    this.#add(delivery, byKind, {}).catch((error) => delivery.fail(error));
    return new QueueStream(delivery.source);
  }

  /**
   * The fast lane: each chunk is everything that has come since the last read, at most `maxBatch` messages. Takes the
   * place of {@linkcode readable}, which it locks.
   *
   * @throws {TypeError} when `readable` is locked
   * @throws {RangeError} when `maxBatch` is less than 1
   */
  batches(options: BatchOptions = {}): ReadableStream<readonly Message<T>[]> {
    checkKeys("batches", options, { maxBatch: 1 });
    const most = whole("maxBatch", options.maxBatch ?? MOST_BATCH, 1);
    return new QueueStream(new BatchSource(this.#stream.direct(), most));
  }

  /** Every name that is wanted, or still there, and where it stands. */
  subscriptions(): Subscription[] {
    return this.#supervisor.subscriptions();
  }

  /**
   * Resolves when every wanted name is acknowledged on the live connection, which a PING has just proved alive: what is
   * published from now on arrives, unless the connection breaks again.
   *
   * @throws {ReplyError} when the server refuses one
   */
  async synced(options: CallOptions = {}): Promise<void> {
    checkCall(options);
    await this.#answered(this.#supervisor.synced(options));
  }

  /** What happens to the connection, from now on. At most 1,024 events wait; the oldest go first. Ends when this is closed. */
  events(): ReadableStream<ClientEvent> {
    return this.#events.stream();
  }

  /** What this has seen so far. */
  stats(): PubSubStats {
    return this.#tally.sum(this.#deliveries.keys(), this.#supervisor, this.#owner.clock);
  }

  /**
   * Unsubscribes, lets the consumers take what waits, ends the streams, and closes. Resolves when all is taken.
   *
   * @throws {TimeoutError} when `timeoutMs` (without it 30,000) passed first; what waits then is dropped
   */
  async drain(options: CallOptions = {}): Promise<void> {
    checkCall(options);
    if (this.#closing !== undefined) return await this.#closing;
    options.signal?.throwIfAborted();
    await this.#supervisor.close();
    const open = [...this.#deliveries.keys()];
    for (const delivery of open) delivery.end();
    try {
      const limits = { ...options, timeoutMs: options.timeoutMs ?? DRAIN_MS };
      await within(Promise.all(open.map((delivery) => delivery.drained())), "drain", limits, this.#owner.clock);
    } finally {
      await this.close();
    }
  }

  /**
   * Unsubscribes, waits for the acknowledgements (at most `closeTimeoutMs`), closes the connection and ends the streams.
   * Messages that wait are dropped. Idempotent; never rejects.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** Iterates over the messages, faster than a reader of {@linkcode readable}, which it locks. Leaving the loop closes. */
  [Symbol.asyncIterator](): AsyncIterator<Message<T>> {
    return this.#stream.values();
  }

  /** As {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #join(kind: Kind, names: Names, options: CallOptions): Promise<void> {
    checkCall(options);
    const all = publicNames(names);
    if (all.length === 0) throw new TypeError(`${KINDS[kind].subscribe} needs at least one name`);
    this.#check(this.#main, options);
    await this.#add(this.#main, [[kind, all]], options);
  }

  #check(delivery: Delivery, { signal }: CallOptions): void {
    signal?.throwIfAborted();
    if (this.#closing !== undefined || delivery.state !== "open") throw new ConnectionError("The PubSub is closed");
  }

  /** Adds names to a stream. What fails leaves nothing behind, but for names that the server has acknowledged. */
  async #add(delivery: Delivery, names: NamesByKind, options: CallOptions): Promise<void> {
    const parts: ReturnType<Hub["add"]>[] = [];
    for (const [kind, list] of names) {
      for (let from = 0; from < list.length; from += PART_NAMES) {
        parts.push(this.#hub.add(delivery, kind, list, from, from + PART_NAMES));
      }
    }
    const all = new Array<KindedName>().concat(...parts.map((part) => part.all));
    try {
      await this.#answered(this.#supervisor.wait(KINDS[all[0]!.kind].subscribe, "present", all, options));
    } catch (error) {
      for (const name of parts.flatMap(({ added }) => added)) {
        const { kind } = name;
        const keep = this.#supervisor.has(kind, name.name) || this.#supervisor.awaits(kind, name.name);
        if (!keep) this.#hub.remove(delivery, name);
      }
      throw error;
    }
  }

  async #leave(kind: Kind, names: Names | undefined, options: CallOptions): Promise<void> {
    checkCall(options);
    const all = names === undefined ? this.#hub.names(this.#main, kind) : kinded(kind, names);
    options.signal?.throwIfAborted();
    for (const name of all) this.#hub.remove(this.#main, name);
    await this.#answered(this.#supervisor.wait(KINDS[kind].unsubscribe, "absent", all, options));
  }

  #newDelivery<U>(options: StreamOptions<U>, names: readonly KindedName[] = []): Delivery<U> {
    const delivery = new Delivery<U>(resolveStreamOptions(options), this.#owner);
    this.#deliveries.set(delivery, names);
    return delivery;
  }

  /** A stream has no consumer any more, or will get nothing more. */
  async #gone(delivery: Delivery): Promise<void> {
    const { error } = delivery;
    // What went wrong with this stream alone ends no other.
    const own = (error instanceof DecodeError || error instanceof OverflowError) && this.#deliveries.size > 1;
    if (delivery === this.#main && !own) {
      // Its failure is that of all: the others, too, deliver what waits before they get the cause.
      if (delivery.state === "failed") { for (const other of this.#deliveries.keys()) other.fail(error); }
      return await this.close();
    }
    const names = delivery === this.#main
      ? KIND_NAMES.flatMap((kind) => this.#hub.names(delivery, kind))
      : this.#deliveries.get(delivery) ?? [];
    for (const name of names) this.#hub.remove(delivery, name);
    if (this.#deliveries.delete(delivery)) this.#tally.keep(delivery);
    const timeoutMs = this.#settings.closeTimeoutMs;
    // Whether or not the server answers in time: the consumer has gone, and the names are wanted no longer.
    await this.#answered(this.#supervisor.wait("UNSUBSCRIBE", "absent", names, { timeoutMs })).catch(() => {});
  }

  #block(delivery: Delivery, room: Room): void {
    if (room === "free") this.#blocking.delete(delivery);
    else this.#blocking.set(delivery, room);
    this.#throttle();
  }

  #throttle(): void {
    const rooms = [...this.#blocking.values()];
    if (rooms.includes("turn") || (rooms.length > 0 && this.#waiting === 0)) this.#supervisor.pause();
    else this.#supervisor.resume();
  }

  /** While a call waits for the server, full streams take more: the answer comes behind their messages. */
  async #answered(call: Promise<void>): Promise<void> {
    this.#waiting++;
    this.#throttle();
    try {
      await call;
    } finally {
      this.#waiting--;
      this.#throttle();
    }
  }

  #closeOnAbort(signal: AbortSignal): void {
    const abort = () => void this.close();
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    this.#stopListening = () => signal.removeEventListener("abort", abort);
  }

  async #close(): Promise<void> {
    this.#hub.clear();
    for (const delivery of this.#deliveries.keys()) if (delivery.state !== "failed") delivery.clear();
    await this.#supervisor.close();
    for (const delivery of this.#deliveries.keys()) delivery.end();
    this.#events.end();
    this.#stopListening();
    this.#onClosed();
  }
}

function kinded(kind: Kind, names: Names): KindedName[] {
  return publicNames(names).map((name) => ({ kind, name }));
}
