/**
 * Who is subscribed to what, and who gets a message.
 *
 * @module
 */

import type { Kind } from "../message.ts";
import { KIND_NAMES, KINDS } from "../protocol/kind.ts";
import { decodeName } from "../name.ts";
import type { Reply } from "../resp/reply.ts";
import { encodeReply } from "../resp/writer.ts";
import { matchGlob } from "./glob.ts";

/** A connection, as far as subscriptions go. */
export interface Subscriber {
  /** The dialect in which it is spoken to. */
  readonly protocol: 2 | 3;
  /** What it is subscribed to. Only the {@linkcode Registry} changes it. */
  readonly names: Readonly<Record<Kind, Set<string>>>;
  /** Sends bytes that are whole replies or pushes. */
  send(bytes: Uint8Array): void;
}

/** One message that is due to one subscriber. */
export interface Delivery {
  readonly to: Subscriber;
  readonly push: Push;
}

/** A push, encoded at most once per dialect, however many subscribers it goes to. */
export class Push {
  readonly #value: readonly Reply[];
  #resp2: Uint8Array | undefined;
  #resp3: Uint8Array | undefined;

  /** A push of these elements, its label first. */
  constructor(value: readonly Reply[]) {
    this.#value = value;
  }

  /** Sends it: as a push to RESP3, as an array to RESP2. */
  sendTo(subscriber: Subscriber): void {
    const bytes = subscriber.protocol === 2
      ? this.#resp2 ??= encodeReply({ type: "array", value: this.#value }, 2)
      : this.#resp3 ??= encodeReply({ type: "push", value: this.#value }, 3);
    subscriber.send(bytes);
  }
}

/** A channel or pattern that somebody is subscribed to. */
interface Topic {
  readonly bytes: Uint8Array;
  readonly subscribers: Set<Subscriber>;
}

/** Every subscription of every connection. */
export class Registry {
  readonly #topics: Readonly<Record<Kind, Map<string, Topic>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };

  /** Subscribes; once more is the same as once. */
  add(kind: Kind, bytes: Uint8Array, subscriber: Subscriber): void {
    const name = decodeName(bytes);
    const topics = this.#topics[kind];
    const topic = topics.get(name);
    if (topic === undefined) topics.set(name, { bytes, subscribers: new Set([subscriber]) });
    else topic.subscribers.add(subscriber);
    subscriber.names[kind].add(name);
  }

  /** Unsubscribes; nothing happens where there is no such subscription. */
  remove(kind: Kind, name: string, subscriber: Subscriber): void {
    if (!subscriber.names[kind].delete(name)) return;
    const topic = this.#topics[kind].get(name)!;
    topic.subscribers.delete(subscriber);
    if (topic.subscribers.size === 0) this.#topics[kind].delete(name);
  }

  /** Forgets all that a connection is subscribed to. */
  removeAll(subscriber: Subscriber): void {
    for (const kind of KIND_NAMES) {
      for (const name of [...subscriber.names[kind]]) this.remove(kind, name, subscriber);
    }
  }

  /** The names that somebody is subscribed to, the oldest first; with `pattern`, those that match it. */
  names(kind: Kind, pattern?: Uint8Array): Uint8Array[] {
    const names = Array.from(this.#topics[kind].values(), (topic) => topic.bytes);
    return pattern === undefined ? names : names.filter((name) => matchGlob(pattern, name));
  }

  /** Who is subscribed to a name. */
  subscribers(kind: Kind, name: string): ReadonlySet<Subscriber> {
    return this.#topics[kind].get(name)?.subscribers ?? NOBODY;
  }

  /** How many names somebody is subscribed to. */
  size(kind: Kind): number {
    return this.#topics[kind].size;
  }

  /**
   * Who gets a message, and as what: the subscribers of the name, then, for a channel, those of each pattern that
   * matches it. A connection gets it once per subscription.
   */
  deliveries(kind: "channel" | "shard", channel: Uint8Array, payload: Uint8Array): Delivery[] {
    const deliveries: Delivery[] = [];
    const add = (row: Kind, subscribers: ReadonlySet<Subscriber>, ...words: Uint8Array[]) => {
      const push = new Push([label(KINDS[row].message), ...words.map(bulk)]);
      for (const to of subscribers) deliveries.push({ to, push });
    };
    const exact = this.subscribers(kind, decodeName(channel));
    if (exact.size > 0) add(kind, exact, channel, payload);
    if (kind === "shard") return deliveries;
    for (const { bytes, subscribers } of this.#topics.pattern.values()) {
      if (matchGlob(bytes, channel)) add("pattern", subscribers, bytes, channel, payload);
    }
    return deliveries;
  }
}

/** How many subscriptions of the kinds that share a count with `kind` a connection has. */
export function subscriptionCount(subscriber: Subscriber, kind: Kind): number {
  return KIND_NAMES.reduce(
    (sum, other) => KINDS[other].count === KINDS[kind].count ? sum + subscriber.names[other].size : sum,
    0,
  );
}

/** Has the connection any subscription, of any kind? */
export function isSubscribed(subscriber: Subscriber): boolean {
  return KIND_NAMES.some((kind) => subscriber.names[kind].size > 0);
}

/** The push that acknowledges a subscription or its end; without a name where there was nothing to end. */
export function acknowledgement(text: string, name: Uint8Array | undefined, count: number): Push {
  return new Push([
    label(text),
    name === undefined ? { type: "null", value: null } : bulk(name),
    { type: "integer", value: count },
  ]);
}

const NOBODY: ReadonlySet<Subscriber> = new Set();
const encoder = new TextEncoder();

function label(text: string): Reply {
  return bulk(encoder.encode(text));
}

/** A bulk string of these bytes. */
export function bulk(value: Uint8Array): Reply {
  return { type: "bulk-string", value };
}
