/**
 * Which local streams want which names. The first that wants a name makes the connection want it, the last that lets
 * go of it drops it. A message is decoded once for each codec, and handed to all that want it.
 *
 * @module
 */

import { type Codec, json, text } from "../codec.ts";
import type { KindedName } from "../connection/calls.ts";
import { DecodeError } from "../errors.ts";
import type { Kind, Message } from "../message.ts";
import { KIND_NAMES } from "../protocol/kind.ts";
import type { WireMessage } from "../protocol/push.ts";
import type { Subscriptions } from "../protocol/subscriptions.ts";
import type { Delivery } from "./delivery.ts";

/** What the hub asks of the connection. */
export interface Subscriber {
  /** A name is wanted from now on. */
  want(kind: Kind, name: string): void;
  /** A name is wanted no longer. */
  drop(kind: Kind, name: string): void;
}

/** Who holds a name: nearly always one stream, so that a name costs no collection of its own. */
type Holders = Delivery | readonly Delivery[];

/** The local streams of one connection. */
export class Hub {
  #subscriber: Subscriber;
  #holders: Readonly<Record<Kind, Map<string, Holders>>> = { channel: new Map(), pattern: new Map(), shard: new Map() };

  /** Has no streams yet. */
  constructor(subscriber: Subscriber) {
    this.#subscriber = subscriber;
  }

  /** A stream wants a name; false where it has it already. */
  add(delivery: Delivery, { kind, name }: KindedName): boolean {
    const holders = this.#holders[kind].get(name);
    // Also where it is held already: to ask again for a name that was refused is to try again.
    this.#subscriber.want(kind, name);
    if (holders === undefined) {
      this.#holders[kind].set(name, delivery);
      return true;
    }
    const all = listOf(holders);
    if (all.includes(delivery)) return false;
    // A new list, since a message may be on its way through the old one.
    this.#holders[kind].set(name, [...all, delivery]);
    return true;
  }

  /** A stream lets go of a name; nothing happens where it has it not. */
  remove(delivery: Delivery, { kind, name }: KindedName): void {
    const all = listOf(this.#holders[kind].get(name));
    if (!all.includes(delivery)) return;
    const rest = all.filter((other) => other !== delivery);
    if (rest.length > 0) {
      this.#holders[kind].set(name, rest.length === 1 ? rest[0]! : rest);
      return;
    }
    this.#holders[kind].delete(name);
    this.#subscriber.drop(kind, name);
  }

  /** The names that a stream has, of one kind or of all. */
  names(delivery: Delivery, kinds: readonly Kind[] = KIND_NAMES): KindedName[] {
    const names: KindedName[] = [];
    for (const kind of kinds) {
      for (const [name, holders] of this.#holders[kind]) {
        if (holders === delivery || listOf(holders).includes(delivery)) names.push({ kind, name });
      }
    }
    return names;
  }

  /** Forgets everybody, and drops nothing: the connection wants nothing any more. */
  clear(): void {
    for (const kind of KIND_NAMES) this.#holders[kind].clear();
  }

  /** Hands a message to all that want it. */
  deliver(wire: WireMessage): void {
    const holders = this.#holders[wire.kind].get(wire.pattern ?? wire.channel);
    if (holders === undefined) return;
    const bytes = wire.payload.length;
    let codec: Codec<unknown> | undefined;
    let decoded: Message<unknown> | DecodeError | undefined;
    /** What the codecs before made of it. */
    let others: Map<Codec<unknown>, Message<unknown> | DecodeError> | undefined;
    for (const delivery of listOf(holders)) {
      if (decoded === undefined || delivery.codec !== codec) {
        if (decoded !== undefined) others = (others ?? new Map()).set(codec!, decoded);
        codec = delivery.codec;
        decoded = others?.get(codec) ?? decode(codec, wire);
      }
      if (decoded instanceof DecodeError) delivery.reject(decoded);
      else delivery.deliver(decoded, bytes);
    }
  }

  /** The streams that have one of these names. */
  holders(names: readonly KindedName[]): Set<Delivery> {
    return new Set(names.flatMap(({ kind, name }) => listOf(this.#holders[kind].get(name))));
  }

  /** The connection is lost: tells the streams that had a confirmed name; true where there was one. */
  lost(since: number, confirmed: Subscriptions): boolean {
    const concerned = new Set<Delivery>();
    for (const kind of KIND_NAMES) {
      for (const [name, state] of confirmed.states(kind)) {
        if (state !== "subscribed") continue;
        for (const delivery of listOf(this.#holders[kind].get(name))) concerned.add(delivery);
      }
    }
    for (const delivery of concerned) delivery.lost(since);
    return concerned.size > 0;
  }
}

function listOf(holders: Holders | undefined): readonly Delivery[] {
  return holders === undefined ? [] : Array.isArray(holders) ? holders : [holders as Delivery];
}

function decode(codec: Codec<unknown>, wire: WireMessage): Message<unknown> | DecodeError {
  const { kind, channel, pattern } = wire;
  try {
    const payload = codec.decode(TRANSIENT.has(codec) ? wire.payload : owned(wire.payload));
    return { kind, channel, pattern, payload, gap: undefined };
  } catch (cause) {
    return new DecodeError(`Cannot decode a message on ${JSON.stringify(channel)}`, { channel, cause });
  }
}

/** Codecs that keep none of the bytes that they are given. */
const TRANSIENT: ReadonlySet<Codec<unknown>> = new Set<Codec<unknown>>([text, json]);

/** The payload in a buffer of its own: a view of a larger one would keep all of that, which may be written to. */
function owned(payload: Uint8Array): Uint8Array {
  return payload.length === payload.buffer.byteLength ? payload : payload.slice();
}
