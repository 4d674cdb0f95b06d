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
 * This file does not know RESP or time; who waits for a name, and who takes its messages, it only keeps.
 *
 * @module
 */

import { ProtocolError, type RedisError, type ReplyError } from "../errors.ts";
import type { Kind } from "../message.ts";
import type { Receiver } from "../run/topics.ts";
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

/** Somebody who waits until names have come to rest. */
export interface Call {
  readonly wants: "present" | "absent";
  /** How many of its names are not at rest. */
  pending: number;
  refusal: ReplyError | undefined;
  readonly settle: (error: RedisError | undefined) => void;
}

/** A name that is not absent on one connection, and where it stands. */
export interface Place {
  readonly name: string;
  readonly state: SubscriptionState;
}

/** A place, as its connection keeps it. */
export interface OpenPlace extends Place {
  readonly entry: Entry;
  state: SubscriptionState;
  /** Undefined where it is absent. */
  owner: Subscriptions | undefined;
}

/**
 * A name of one kind, and all that is kept for it: whoever deals with names finds it by one look-up. It is also its own
 * first place, since whatever is made for each of 100,000 names is moved twice by the collectors of garbage.
 * Nine fields would take 32 bytes more than eight on Bun.
 */
export class Entry implements OpenPlace {
  declare readonly kind: Kind;
  declare readonly name: string;
  /** `known`: it is not wanted, but something is kept for it. `gone`: it is in no table. */
  declare wish: "wanted" | "known" | "gone";
  declare state: SubscriptionState;
  declare owner: Subscriptions | undefined;
  /** Who waits for it: nearly always one call, so that it costs no collection of its own. Kept by `Calls`. */
  declare waiting: Call | Set<Call> | undefined;
  /** Who takes its messages. Kept by the hub. */
  declare holder: Receiver | undefined;
  /** What was looked up after it the last time. */
  declare next: Entry;

  /** An entry that is in no table yet. Fields that are not only declared would be one more call for each. */
  constructor(kind: Kind, name: string) {
    this.kind = kind;
    this.name = name;
    this.wish = "known";
    this.state = "absent";
    this.owner = this.waiting = this.holder = undefined;
    this.next = this;
  }

  /** Itself. */
  get entry(): this {
    return this;
  }
}

/**
 * What is wanted, and what is kept for its names.
 *
 * With 100,000 names each look-up in a map misses every cache. But names are nearly always gone through in one order: so
 * the entry that was found last, and what came after it the last time, are compared first.
 */
export class Desired {
  #entries: Readonly<Record<Kind, Map<string, Entry>>> = { channel: new Map(), pattern: new Map(), shard: new Map() };
  #last = new Entry("channel", "");
  #next = this.#last;
  /** The places of names that are in use on several connections, but for the first one: nearly always there are none. */
  readonly others = new Map<Entry, OpenPlace[]>();

  /** Nothing is wanted. */
  constructor() {
    this.#last.wish = "gone";
  }

  /** Adds a name; false where it was there. */
  add(kind: Kind, name: string): boolean {
    if (this.has(kind, name)) return false;
    this.entry(kind, name).wish = "wanted";
    return true;
  }

  /** Removes a name; false where it was not there. */
  delete(kind: Kind, name: string): boolean {
    const entry = this.find(kind, name);
    if (entry?.wish !== "wanted") return false;
    entry.wish = "known";
    this.tidy(entry);
    return true;
  }

  /** Is it wanted? */
  has(kind: Kind, name: string): boolean {
    return this.find(kind, name)?.wish === "wanted";
  }

  /** What is wanted of a kind, in the order in which it became known. */
  wanted(kind: Kind): Entry[] {
    // A spread takes Bun five times as long while nothing is compiled.
    return Array.from(this.entries(kind)).filter(({ wish }) => wish === "wanted");
  }

  /** Wants nothing any more. */
  clear(): void {
    for (const kind of KIND_NAMES) for (const { name } of this.wanted(kind)) this.delete(kind, name);
  }

  /** What is kept for the names of a kind. */
  entries(kind: Kind): Iterable<Entry> {
    return this.#entries[kind].values();
  }

  /** What is kept for a name; undefined where that is nothing. */
  find(kind: Kind, name: string): Entry | undefined {
    if (isOf(this.#last, kind, name)) return this.#last;
    if (isOf(this.#next, kind, name)) return this.#pass(this.#next);
    const entry = this.#entries[kind].get(name);
    return entry && this.#pass(this.#last.next = entry);
  }

  /** The same; what it gives is in the table until it is tidied. */
  entry(kind: Kind, name: string): Entry {
    const found = this.find(kind, name);
    if (found !== undefined) return found;
    const entry = new Entry(kind, name);
    this.#entries[kind].set(name, entry);
    return this.#pass(this.#last.next = entry);
  }

  /** {@linkcode add} for names in a row, in one loop: what is called for each of 10,000 runs long before it is compiled. */
  enter(kind: Kind, names: readonly string[], from = 0, to = names.length): Entry[] {
    const table = this.#entries[kind];
    // As a copy of the names it has its room at once, and no holes.
    const entries: (string | Entry)[] = names.slice(from, to);
    let last = this.#last;
    for (let i = 0; i < entries.length; i++) {
      const name = entries[i] as string;
      let entry: Entry | undefined = last.next;
      if (entry.name !== name || entry.kind !== kind || entry.wish === "gone") {
        entry = table.get(name);
        if (entry === undefined) table.set(name, entry = new Entry(kind, name));
        last.next = entry;
      }
      entry.wish = "wanted";
      entries[i] = last = entry;
    }
    this.#pass(last);
    return entries as Entry[];
  }

  /** Forgets an entry for which nothing is kept any more. */
  tidy(entry: Entry): void {
    if (entry.wish !== "known" || entry.owner !== undefined || entry.waiting !== undefined) return;
    if (entry.holder !== undefined || this.others.has(entry)) return;
    this.#entries[entry.kind].delete(entry.name);
    entry.wish = "gone";
    // Whoever keeps it should not keep what came after it.
    entry.next = entry;
  }

  /** This place, of {@linkcode others}, is in use no longer. */
  leave(place: OpenPlace): void {
    const left = this.others.get(place.entry)?.filter((other) => other !== place) ?? [];
    if (left.length > 0) this.others.set(place.entry, left);
    else this.others.delete(place.entry);
  }

  #pass(entry: Entry): Entry {
    this.#next = entry.next;
    return this.#last = entry;
  }
}

/** The entry of a name, by its place on a connection. */
export function entryOf(place: Place): Entry {
  return (place as OpenPlace).entry;
}

function isOf(entry: Entry, kind: Kind, name: string): boolean {
  return entry.name === name && entry.kind === kind && entry.wish !== "gone";
}

/** What one connection has confirmed. */
export class Subscriptions {
  #desired: Desired;
  #size = 0;
  /** How many names are subscribing or unsubscribing. */
  #unsettled = 0;

  /** Starts with nothing confirmed; of `desired` it keeps the places of its names, until {@linkcode end}. */
  constructor(desired: Desired) {
    this.#desired = desired;
  }

  /** How many names still wait for the server. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** How many names are not absent, of all kinds. */
  get size(): number {
    return this.#size;
  }

  /** Where a name stands. */
  state(kind: Kind, name: string): SubscriptionState {
    return this.place(kind, name)?.state ?? "absent";
  }

  /** The place of a name; undefined where it is absent. */
  place(kind: Kind, name: string): Place | undefined {
    return this.#placeOf(this.#desired.find(kind, name));
  }

  /** The names of a kind that are not absent. */
  *places(kind: Kind): Iterable<Place> {
    if (this.#size === 0) return;
    for (const entry of this.#desired.entries(kind)) {
      const place = this.#placeOf(entry);
      if (place !== undefined) yield place;
    }
  }

  /** The connection is over, and nobody asks any more what it had: every name is absent. */
  end(): void {
    this.#unsettled = 0;
    for (const kind of KIND_NAMES) {
      if (this.#size === 0) return;
      for (const entry of this.#desired.entries(kind)) {
        if (entry.owner === this && entry.wish === "wanted") {
          entry.state = "absent";
          entry.owner = undefined;
          this.#size--;
          continue;
        }
        const place = this.#placeOf(entry);
        if (place !== undefined) this.#remove(place);
      }
    }
  }

  /**
   * Takes what happened to a name, and sends nothing for it.
   *
   * @throws {ProtocolError} when it cannot happen in the state of that name
   */
  input(kind: Kind, name: string, input: SubscriptionInput): void {
    const place = this.#look(kind, name);
    this.#set(place, after(kind, place, input));
  }

  /** What has to be sent for this name, which counts as sent from now on. */
  reconcile(kind: Kind, name: string): SubscriptionAction {
    const place = this.#look(kind, name);
    const { state } = place;
    const isWanted = place.entry.wish === "wanted";
    if (isWanted && state === "absent") {
      this.#set(place, "subscribing");
      return "subscribe";
    }
    if (!isWanted && state === "subscribed") {
      this.#set(place, "unsubscribing");
      return "unsubscribe";
    }
    if (!isWanted && state === "denied") this.#set(place, "absent");
    return "none";
  }

  /** {@linkcode reconcile} for names that are wanted, also for those that were denied: gives those to subscribe to. */
  request(entries: readonly Entry[]): readonly Place[] {
    let places: Place[] | undefined; // where those are not all of them
    let fresh = 0;
    const { others } = this.#desired;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.owner === undefined && (others.size === 0 || !others.has(entry))) {
        entry.state = "subscribing";
        entry.owner = this;
        fresh++;
        places?.push(entry);
        continue;
      }
      places ??= entries.slice(0, i);
      this.input(entry.kind, entry.name, "retried");
      if (this.reconcile(entry.kind, entry.name) === "subscribe") places.push(this.#placeOf(entry)!);
    }
    this.#size += fresh;
    this.#unsettled += fresh;
    return places ?? entries;
  }

  /**
   * {@linkcode input} for names in a row that wait for their answers, which have come; stops before the first that does not,
   * or for which something has to be sent, and gives its index.
   */
  settle(input: "confirmed" | "removed", places: readonly Place[], from: number, to: number): number {
    const confirms = input === "confirmed";
    const due = confirms ? "subscribing" : "unsubscribing";
    let at = from;
    for (; at < to; at++) {
      const place = places[at] as OpenPlace & Partial<Entry>;
      if (place.state !== due || ((place.wish ?? place.entry.wish) === "wanted") !== confirms) break;
      if (confirms) place.state = "subscribed";
      else this.#remove(place);
    }
    this.#unsettled -= at - from;
    return at;
  }

  #placeOf(entry: Entry | undefined): OpenPlace | undefined {
    if (entry === undefined || entry.owner === this) return entry;
    return this.#desired.others.get(entry)?.find(({ owner }) => owner === this);
  }

  #look(kind: Kind, name: string): OpenPlace {
    const entry = this.#desired.find(kind, name) ?? new Entry(kind, name);
    return this.#placeOf(entry) ??
      (entry.owner === undefined ? entry : { name, state: "absent", entry, owner: undefined });
  }

  #set(place: OpenPlace, to: SubscriptionState): void {
    const from = place.state;
    if (from === to) return;
    this.#unsettled += Number(isUnsettled(to)) - Number(isUnsettled(from));
    place.state = to;
    if (to === "absent") this.#remove(place);
    else if (from === "absent") {
      const { entry } = place;
      this.#size++;
      place.owner = this;
      if (place !== entry) this.#desired.others.set(entry, [...this.#desired.others.get(entry) ?? [], place]);
    }
  }

  #remove(place: OpenPlace): void {
    const { entry } = place;
    this.#size--;
    place.state = "absent";
    place.owner = undefined;
    if (place !== entry) this.#desired.leave(place);
    this.#desired.tidy(entry);
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
