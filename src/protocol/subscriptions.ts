/**
 * Which subscriptions a connection has, and what must be sent so that it has the wanted ones.
 *
 * 1. `Desired` is what the user wants. It outlives connections, and only calls of the user change it.
 * 2. `Subscriptions` is what one connection has confirmed. It dies with the connection, and only the wire changes it.
 * 3. After every input of either side, one name is reconciled: wanted and absent, subscribe; unwanted and subscribed,
 *    unsubscribe; anything else waits for the wire. So resubscribing is the same diff against an empty set.
 * 4. Every transition stands in the table below. A pair that is not there means that the server broke the protocol.
 * 5. Acknowledgements are matched by kind and name. A server may take a revocable subscription away at any moment, also
 *    while our own unsubscription is on its way: `unsubscribing` × `revoked` stays, since one acknowledgement is due.
 * 6. `denied` is kept until the connection ends or somebody asks again (`retried`), so that a refusal makes no loop.
 *
 * This file does not know RESP, time, or who waits for what.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { KIND_NAMES, KINDS } from "./kind.ts";

/** Where one name stands on one connection. */
export type SubscriptionState = "absent" | "subscribing" | "subscribed" | "unsubscribing" | "denied";

/** What can happen to one name on one connection. */
export type SubscriptionInput = "confirmed" | "removed" | "revoked" | "rejected" | "retried" | "disconnected";

/** What has to be sent for one name; `none`: nothing. */
export type SubscriptionAction = "subscribe" | "unsubscribe" | "none";

/** The machine. */
export const TRANSITIONS: Readonly<
  Record<SubscriptionState, Readonly<Partial<Record<SubscriptionInput, SubscriptionState>>>>
> = {
  absent: { retried: "absent", disconnected: "absent" },
  subscribing: { confirmed: "subscribed", rejected: "denied", retried: "subscribing", disconnected: "absent" },
  subscribed: { revoked: "absent", retried: "subscribed", disconnected: "absent" },
  unsubscribing: { removed: "absent", revoked: "unsubscribing", retried: "unsubscribing", disconnected: "absent" },
  denied: { retried: "absent", disconnected: "absent" },
};

/** A set of (kind, name). */
export class Desired {
  #names: Readonly<Record<Kind, Set<string>>> = { channel: new Set(), pattern: new Set(), shard: new Set() };

  /** Adds a name; false where it was there. */
  add(kind: Kind, name: string): boolean {
    const names = this.#names[kind];
    const { size } = names;
    return names.add(name).size > size;
  }

  /** Removes a name; false where it was not there. */
  delete(kind: Kind, name: string): boolean {
    return this.#names[kind].delete(name);
  }

  /** Is it wanted? */
  has(kind: Kind, name: string): boolean {
    return this.#names[kind].has(name);
  }

  /** The wanted names of a kind, in the order in which they were first wanted. */
  names(kind: Kind): ReadonlySet<string> {
    return this.#names[kind];
  }

  /** Wants nothing any more. */
  clear(): void {
    for (const kind of KIND_NAMES) this.#names[kind].clear();
  }
}

/** A name that is not absent on one connection, and where it stands. */
export interface Place {
  readonly name: string;
  readonly state: SubscriptionState;
}

interface OpenPlace extends Place {
  state: SubscriptionState;
}

/** What one connection has confirmed. */
export class Subscriptions {
  #desired: Desired;
  /** With 100,000 names a look-up misses every cache: so whoever waits for answers keeps the places, which lie in order. */
  #places: Readonly<Record<Kind, Map<string, OpenPlace>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };
  /** How many names are subscribing or unsubscribing. */
  #unsettled = 0;

  /** Starts with nothing confirmed; `desired` is read, never written. */
  constructor(desired: Desired) {
    this.#desired = desired;
  }

  /** How many names still wait for the server. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** How many names are not absent, of all kinds. */
  get size(): number {
    return this.#places.channel.size + this.#places.pattern.size + this.#places.shard.size;
  }

  /** Where a name stands. */
  state(kind: Kind, name: string): SubscriptionState {
    return this.#places[kind].get(name)?.state ?? "absent";
  }

  /** The place of a name; undefined where it is absent. */
  place(kind: Kind, name: string): Place | undefined {
    return this.#places[kind].get(name);
  }

  /** The names of a kind that are not absent. */
  places(kind: Kind): Iterable<Place> {
    return this.#places[kind].values();
  }

  /**
   * Takes what happened to a name, and sends nothing for it.
   *
   * @throws {ProtocolError} when it cannot happen in the state of that name
   */
  input(kind: Kind, name: string, input: SubscriptionInput): void {
    const place = this.#look(kind, name);
    this.#set(kind, place, after(kind, place, input));
  }

  /** What has to be sent for this name, which counts as sent from now on. */
  reconcile(kind: Kind, name: string): SubscriptionAction {
    const place = this.#look(kind, name);
    return this.#reconcile(kind, place, place.state);
  }

  /**
   * {@linkcode input}, then {@linkcode reconcile}. A name that waits for its answer may be given by its place, which spares
   * the look-ups.
   *
   * @throws {ProtocolError} as {@linkcode input}
   */
  advance(kind: Kind, which: string | Place, input: SubscriptionInput): SubscriptionAction {
    const place = typeof which === "string" ? this.#look(kind, which) : which as OpenPlace;
    return this.#reconcile(kind, place, after(kind, place, input));
  }

  #look(kind: Kind, name: string): OpenPlace {
    return this.#places[kind].get(name) ?? { name, state: "absent" };
  }

  #reconcile(kind: Kind, place: OpenPlace, state: SubscriptionState): SubscriptionAction {
    const wanted = this.#desired.has(kind, place.name);
    if (wanted && state === "absent") {
      this.#set(kind, place, "subscribing");
      return "subscribe";
    }
    if (!wanted && state === "subscribed") {
      this.#set(kind, place, "unsubscribing");
      return "unsubscribe";
    }
    this.#set(kind, place, !wanted && state === "denied" ? "absent" : state);
    return "none";
  }

  #set(kind: Kind, place: OpenPlace, to: SubscriptionState): void {
    const from = place.state;
    if (from === to) return;
    this.#unsettled += Number(isUnsettled(to)) - Number(isUnsettled(from));
    place.state = to;
    if (to === "absent") this.#places[kind].delete(place.name);
    else if (from === "absent") this.#places[kind].set(place.name, place);
  }
}

function isUnsettled(state: SubscriptionState): boolean {
  return state === "subscribing" || state === "unsubscribing";
}

/** The state after what happened. */
function after(kind: Kind, { name, state }: Place, input: SubscriptionInput): SubscriptionState {
  const next = TRANSITIONS[state][input];
  if (next === undefined || (input === "revoked" && !KINDS[kind].revocable)) {
    throw new ProtocolError(`The server's word does not fit ${kind} ${JSON.stringify(name)}: ${input} while ${state}`);
  }
  return next;
}
