/**
 * Which local streams want which names. The first that wants a name makes the connection want it, the last that lets
 * go of it drops it. A message is decoded once for each codec, and handed to all that want it.
 *
 * @module
 */

import type { Codec } from "../codec.ts";
import type { KindedName } from "../supervisor/calls.ts";
import type { LossReason } from "../supervisor/options.ts";
import type { Delivery } from "../delivery/delivery.ts";
import { decodeMessage } from "../delivery/payload.ts";
import type { DecodeError } from "../errors.ts";
import type { Kind, Message } from "../message.ts";
import { isPrivate } from "../name.ts";
import { KIND_NAMES } from "../protocol/kind.ts";
import { type Desired, Entry, type Subscriptions } from "../protocol/subscriptions.ts";
import type { Run } from "../run/run.ts";
import type { Receiver, Route, Topic } from "../run/topics.ts";

/** What the hub asks of the connection. */
export interface Subscriber {
  /** Whose entries keep who holds a name. */
  readonly desired: Desired;
  /** Names of one kind are wanted from now on. */
  want(kind: Kind, entries: readonly Entry[]): void;
  /** A name is wanted no longer. */
  drop(kind: Kind, name: string): void;
}

/** The streams that hold a name, where there are several. A message is decoded once for each codec. */
class Holders implements Receiver {
  #all = new Set<Delivery>();
  /** The same, as they were when a message came: streams come and go while it is on its way. */
  #list: readonly Delivery[] | undefined;

  get all(): ReadonlySet<Delivery> {
    return this.#all;
  }

  add(delivery: Delivery): this {
    this.#all.add(delivery);
    this.#list = undefined;
    return this;
  }

  delete(delivery: Delivery): void {
    this.#all.delete(delivery);
    this.#list = undefined;
  }

  receive(run: Run, i: number): void {
    const bytes = run.size(i);
    let codec: Codec<unknown> | undefined;
    let decoded: Message<unknown> | DecodeError | undefined;
    /** What the codecs before made of it. */
    let others: Map<Codec<unknown>, Message<unknown> | DecodeError> | undefined;
    for (const delivery of this.#list ??= [...this.#all]) {
      if (decoded === undefined || delivery.codec !== codec) {
        if (decoded !== undefined) others = (others ?? new Map()).set(codec!, decoded);
        codec = delivery.codec;
        decoded = others?.get(codec) ?? decodeMessage(codec, run, i);
      }
      delivery.accept(decoded, bytes);
    }
  }
}

/** Who holds a name: nearly always one stream, so that a name costs no collection of its own. */
type Held = Delivery | Holders;

/** The local streams of one connection. */
export class Hub {
  #subscriber: Subscriber;
  /** Changes whenever a name has other holders: what a topic remembers was found in one version. */
  #version = 0;
  /** What was found in this version, for all topics of one receiver. */
  #routes = new Map<Receiver | undefined, Route>();
  /** Who hears that a message came on which private channel. */
  #ears = new Map<string, Receiver>();
  /** How many private messages were taken; they are not the user's. */
  privately = 0;
  #private: Receiver = { receive: () => void this.privately++ };

  /** Has no streams yet. */
  constructor(subscriber: Subscriber) {
    this.#subscriber = subscriber;
  }

  /** A stream wants names of one kind, or some of them in a row; gives their entries, and those of the names that it had not. */
  add(
    delivery: Delivery,
    kind: Kind,
    names: readonly string[],
    from?: number,
    to?: number,
  ): { all: readonly Entry[]; added: readonly Entry[] } {
    const all = this.#subscriber.desired.enter(kind, names, from, to);
    const fresh = holdFresh(all, delivery);
    const added = fresh === all.length ? all : all.filter((entry, i) => i < fresh || hold(entry, delivery));
    if (added.length > 0) this.#changed();
    // Also those that it has already: to ask again for a name that was refused is to try again.
    this.#subscriber.want(kind, all);
    return { all, added };
  }

  /** A stream lets go of a name; nothing happens where it has it not. */
  remove(delivery: Delivery, { kind, name }: KindedName): void {
    const entry = this.#subscriber.desired.find(kind, name);
    const held = heldBy(entry);
    if (!has(held, delivery)) return;
    this.#changed();
    if (held instanceof Holders) {
      held.delete(delivery);
      if (held.all.size > 0) return;
    }
    entry!.holder = undefined;
    this.#subscriber.drop(kind, name);
  }

  /** The names of a kind that a stream has. */
  names(delivery: Delivery, kind: Kind): KindedName[] {
    const names: KindedName[] = [];
    for (const entry of this.#subscriber.desired.entries(kind)) {
      if (has(heldBy(entry), delivery)) names.push({ kind, name: entry.name });
    }
    return names;
  }

  /** Forgets everybody, and drops nothing: the connection wants nothing any more. */
  clear(): void {
    this.#changed();
    const { desired } = this.#subscriber;
    for (const kind of KIND_NAMES) {
      for (const entry of desired.entries(kind)) {
        entry.holder = undefined;
        desired.tidy(entry);
      }
    }
  }

  /** Hands messages to all that want them, until the run is halted. */
  deliver(run: Run): void {
    while (run.taken < run.count && run.state === "flowing") {
      const i = run.taken++;
      const topic = run.topic(i);
      const { route } = topic;
      (route.found === this.#version ? route : this.#find(topic)).receiver?.receive(run, i);
    }
  }

  /** From now on `heard` is told of a message on this private channel, in its place; without it nobody is. */
  listen(channel: string, heard?: () => void): void {
    this.#changed();
    this.#ears.delete(channel);
    if (heard === undefined) return;
    const receive = () => {
      this.privately++;
      heard();
    };
    this.#ears.set(channel, { receive });
  }

  #find(topic: Topic): Route {
    const receiver = this.#receiverOf(topic);
    let route = this.#routes.get(receiver);
    if (route === undefined) this.#routes.set(receiver, route = { receiver, found: this.#version });
    return topic.route = route;
  }

  #receiverOf(topic: Topic): Receiver | undefined {
    // Also by a pattern: it may match what is private.
    if (isPrivate(topic.channel)) return topic.kind === "channel" && this.#ears.get(topic.channel) || this.#private;
    const entry = this.#subscriber.desired.find(topic.kind, topic.pattern ?? topic.channel);
    if (entry !== undefined) topic.name(entry.name);
    return entry?.holder;
  }

  #changed(): void {
    this.#version++;
    this.#routes.clear();
  }

  /** The streams that have one of these names. */
  holders(names: readonly KindedName[]): Set<Delivery> {
    const { desired } = this.#subscriber;
    return new Set(names.flatMap(({ kind, name }) => [...listOf(heldBy(desired.find(kind, name)))]));
  }

  /** The connection is lost: tells the streams, of which there are so many, that had a confirmed name; true where there was one. */
  lost(since: number, confirmed: Pick<Subscriptions, "places">, reason: LossReason, streams: number): boolean {
    const concerned = new Set<Delivery>();
    for (const kind of KIND_NAMES) {
      let last: Held | undefined;
      for (const place of confirmed.places(kind)) {
        if (concerned.size === streams) break;
        if (place.state !== "subscribed") continue;
        const held = heldBy(place instanceof Entry ? place : this.#subscriber.desired.find(kind, place.name));
        if (held === last) continue;
        for (const delivery of listOf(held)) concerned.add(delivery);
        last = held;
      }
    }
    for (const delivery of concerned) delivery.lost(since, reason);
    return concerned.size > 0;
  }
}

/** Holds those in a row that nobody has; gives the index of the first that somebody has. */
function holdFresh(entries: readonly Entry[], delivery: Delivery): number {
  let at = 0;
  for (; at < entries.length; at++) {
    const entry = entries[at]!;
    if (entry.holder !== undefined) break;
    entry.holder = delivery;
  }
  return at;
}

/** False where the stream has it already. */
function hold(entry: Entry, delivery: Delivery): boolean {
  const held = heldBy(entry);
  if (has(held, delivery)) return false;
  if (held instanceof Holders) held.add(delivery);
  else entry.holder = held === undefined ? delivery : new Holders().add(held).add(delivery);
  return true;
}

function listOf(held: Held | undefined): Iterable<Delivery> {
  return held === undefined ? [] : held instanceof Holders ? held.all : [held];
}

function has(held: Held | undefined, delivery: Delivery): boolean {
  return held === delivery || (held instanceof Holders && held.all.has(delivery));
}

/** Nobody but the hub writes it. */
function heldBy(entry: Entry | undefined): Held | undefined {
  return entry?.holder as Held | undefined;
}
