/**
 * Calls that wait until names have come to rest: acknowledged where they are wanted, gone where they are not.
 * A call that a later one overtakes comes to rest with it.
 *
 * @module
 */

import { type RedisError, ReplyError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { KIND_NAMES } from "../protocol/kind.ts";
import { type Call, type Desired, Entry, entryOf, type Place, type Subscriptions } from "../protocol/subscriptions.ts";
import type { Clock } from "../connection/clock.ts";
import { type CallOptions, within } from "../connection/wait.ts";

/** Where a name stands: at rest, refused, or not yet there. */
export type Standing = "settled" | "unsettled" | ReplyError;

/** One name of one kind. */
export interface KindedName {
  readonly kind: Kind;
  readonly name: string;
}

/** Where names stand now. */
export interface Standings {
  /** Of each of these. */
  standings(names: readonly KindedName[]): Standing[];
  /** What the live connection has confirmed, which alone tells where a wanted name stands; `"refusals"` where some are refused. */
  readonly known: Subscriptions | undefined | "refusals";
}

/** What a call wants of its names. */
export type Wanted = Call["wants"];

/** Everything that waits on one supervisor. */
export class Calls {
  #desired: Desired;
  /** How many names are waited for. */
  #waiting = 0;
  /** Who waits for a connection. */
  #opening: Call["settle"][] = [];
  #roster: Standings;
  #clock: Clock;

  /** Who waits for a name is kept in its entry of `desired`; the roster tells where names stand now. */
  constructor(desired: Desired, roster: Standings, clock: Clock) {
    this.#desired = desired;
    this.#roster = roster;
    this.#clock = clock;
  }

  /**
   * Waits until all of `names` are at rest.
   *
   * @throws {ReplyError} the first refusal, once every name is at rest
   * @throws {TimeoutError} when `timeoutMs` passed first
   */
  async wait(what: string, wants: Wanted, names: readonly KindedName[], options: CallOptions): Promise<void> {
    options.signal?.throwIfAborted();
    let settle: Call["settle"] = () => {};
    const settled = new Promise<void>((resolve, reject) => {
      settle = (error) => error === undefined ? resolve() : reject(error);
    });
    const call: Call = { wants, pending: 0, refusal: undefined, settle };
    this.#enter(call, names);
    if (call.pending === 0) settle(call.refusal);
    try {
      await within(settled, what, options, this.#clock);
    } finally {
      if (call.pending > 0) this.#forget(call, names);
    }
  }

  /** Resolves when a connection is open, and asked for all that is wanted; rejects when there will be none. */
  opening(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opening.push((error) => error === undefined ? resolve() : reject(error));
    });
  }

  /** A connection is open. */
  opened(error?: RedisError): void {
    for (const settle of this.#opening.splice(0)) settle(error);
  }

  /** Does any call wait for this name? */
  has(kind: Kind, name: string): boolean {
    return this.#desired.find(kind, name)?.waiting !== undefined;
  }

  /** Looks again at the calls that wait for this name; where it stands is known to some. */
  look(kind: Kind, name: string, known?: Standing): void {
    const entry = this.#waiting === 0 ? undefined : this.#desired.find(kind, name);
    const calls = entry?.waiting;
    if (calls === undefined) return;
    const standing = known ?? this.#roster.standings([entry!])[0]!;
    if (standing === "unsettled") return;
    this.#release(entry!);
    for (const call of listOf(calls)) {
      refuse(call, standing);
      settleSome(call);
    }
  }

  /** Names in a row are at rest, from the one at `from` to the one before `to`. */
  settled(places: readonly Place[], from: number, to: number): void {
    if (this.#waiting === 0) return;
    // Nearly always one call waits for all of them: it is told when its names end.
    let last: Call | undefined;
    let count = 0;
    for (let i = from; i < to; i++) {
      const entry = entryOf(places[i]!);
      const calls = entry.waiting;
      if (calls === undefined) continue;
      this.#release(entry);
      if (calls === last) {
        const at = releaseAll(places, i + 1, to, last);
        this.#waiting -= at - i - 1;
        count += at - i;
        i = at - 1;
        continue;
      }
      if (last !== undefined) settleSome(last, count);
      [last, count] = [undefined, 0];
      if (calls instanceof Set) { for (const call of calls) settleSome(call); }
      else [last, count] = [calls, 1];
    }
    if (last !== undefined) settleSome(last, count);
  }

  /** Looks again at everything. */
  lookAtAll(): void {
    const awaited = this.#awaited();
    const standings = this.#roster.standings(awaited);
    awaited.forEach(({ kind, name }, i) => this.look(kind, name, standings[i]));
  }

  /** All is over: calls that want names present fail with `error`, the others have what they want. */
  end(error: RedisError): void {
    this.opened(error);
    for (const { waiting } of this.#awaited()) {
      for (const call of listOf(waiting!)) call.settle(call.wants === "present" ? error : undefined);
    }
  }

  #enter(call: Call, names: readonly KindedName[]): void {
    const { known } = this.#roster;
    for (let i = 0; i < names.length; i++) {
      // Of many names nearly every one is asked for just now.
      const to = known === "refusals" || this.#desired.others.size > 0 ? i : enterAll(call, names, i, known);
      this.#waiting += to - i;
      call.pending += to - i;
      i = to;
      if (i < names.length) this.#enterOne(call, names[i]!);
    }
  }

  #enterOne(call: Call, named: KindedName): void {
    const standing = this.#roster.standings([named])[0]!;
    if (standing !== "unsettled") return refuse(call, standing);
    const entry = named instanceof Entry && named.wish !== "gone" ? named : this.#desired.entry(named.kind, named.name);
    const calls = entry.waiting;
    if (calls === undefined) {
      this.#waiting++;
      entry.waiting = call;
    } else if (calls === call || (calls instanceof Set && calls.has(call))) return;
    else if (calls instanceof Set) calls.add(call);
    else entry.waiting = new Set([calls, call]);
    call.pending++;
  }

  #release(entry: Entry): void {
    this.#waiting--;
    entry.waiting = undefined;
    this.#desired.tidy(entry);
  }

  #awaited(): Entry[] {
    const awaited: Entry[] = [];
    if (this.#waiting === 0) return awaited;
    for (const kind of KIND_NAMES) {
      for (const entry of this.#desired.entries(kind)) if (entry.waiting !== undefined) awaited.push(entry);
    }
    return awaited;
  }

  #forget(call: Call, names: readonly KindedName[]): void {
    for (const { kind, name } of names) {
      const entry = this.#desired.find(kind, name);
      const calls = entry?.waiting;
      if (calls instanceof Set) calls.delete(call);
      if (calls === call || (calls instanceof Set && calls.size === 0)) this.#release(entry!);
    }
  }
}

/** A call waits for names in a row that are wanted and not yet there; gives the index of the first that is not so. */
function enterAll(call: Call, names: readonly KindedName[], from: number, known: Subscriptions | undefined): number {
  let at = from;
  for (; at < names.length; at++) {
    const entry = names[at] as Entry;
    if (entry.wish !== "wanted" || entry.waiting !== undefined) break;
    if (entry.owner === known && entry.state === "subscribed") break;
    entry.waiting = call;
  }
  return at;
}

/** A call waits no longer for names in a row; gives the index of the first that it does not wait for, or that may be forgotten. */
function releaseAll(places: readonly Place[], from: number, to: number, call: Call): number {
  let at = from;
  for (; at < to; at++) {
    const entry = places[at] as Entry;
    if (entry.waiting !== call || entry.wish !== "wanted") break;
    entry.waiting = undefined;
  }
  return at;
}

/** Who lets go of a name does not mind that it is refused. */
function refuse(call: Call, standing: Standing): void {
  if (standing instanceof ReplyError && call.wants === "present") call.refusal ??= standing;
}

function settleSome(call: Call, count = 1): void {
  call.pending -= count;
  if (call.pending === 0) call.settle(call.refusal);
}

function listOf(calls: Call | Set<Call>): Iterable<Call> {
  return calls instanceof Set ? calls : [calls];
}
