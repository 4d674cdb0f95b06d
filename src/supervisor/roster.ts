/**
 * The names of one subscriber: which are wanted, which were refused, and where each stands.
 *
 * @module
 */

import type { ReplyError } from "../errors.ts";
import type { ClientEventBody } from "../event.ts";
import type { Kind } from "../message.ts";
import { isPrivate } from "../name.ts";
import { KIND_NAMES } from "../protocol/kind.ts";
import type { SessionEvent } from "../protocol/push.ts";
import { Desired, Entry, type Place, type Subscriptions } from "../protocol/subscriptions.ts";
import type { KindedName, Standing } from "./calls.ts";

/** Where one subscription stands. */
export interface Subscription {
  /** How it is subscribed to. */
  readonly kind: Kind;
  /** The channel or pattern. */
  readonly name: string;
  /** `pending`: not acknowledged on the live connection yet; `denied`: the server refused it. */
  readonly state: "pending" | "subscribed" | "denied" | "unsubscribing";
  /** What the server said, where it is denied. */
  readonly error?: ReplyError;
}

/** What a connection was refused. */
export type Denials = readonly Extract<SessionEvent, { type: "denied" }>[];

/** What {@linkcode Roster.taken} gives. */
export interface Taken {
  readonly events: readonly Extract<ClientEventBody, { type: "subscribed" | "unsubscribed" | "denied" }>[];
  /** Names that the old connection had and that the new one is refused, as if it were what the old one had. */
  readonly refused: Pick<Subscriptions, "places">;
}

/** What is wanted outlives connections; what was refused is asked for again on the next. */
export class Roster {
  /** What is wanted. */
  readonly desired: Desired = new Desired();
  #denials: Readonly<Record<Kind, Map<string, ReplyError>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };
  #confirmed: () => Subscriptions | undefined;

  /** `confirmed` gives what the live connection has confirmed. */
  constructor(confirmed: () => Subscriptions | undefined) {
    this.#confirmed = confirmed;
  }

  /** Names of one kind are asked for, also those that were refused. */
  want(kind: Kind, entries: readonly Entry[]): void {
    const denials = this.#denials[kind];
    if (denials.size > 0) { for (const { name } of entries) denials.delete(name); }
  }

  /** Wants a name no longer; true where it was refused. */
  drop(kind: Kind, name: string): boolean {
    this.desired.delete(kind, name);
    return this.#denials[kind].delete(name);
  }

  /** The server acknowledged something about this name; true where it was refused. */
  answered(kind: Kind, name: string): boolean {
    return this.#denials[kind].delete(name);
  }

  /** The server refused a name; false where it was refused already. */
  denied(kind: Kind, name: string, error: ReplyError): boolean {
    return !this.#denials[kind].has(name) && this.#denials[kind].set(name, error).has(name);
  }

  /** Forgets what was refused. */
  forgive(): void {
    for (const kind of KIND_NAMES) this.#denials[kind].clear();
  }

  /** Do users want nothing? */
  get isEmpty(): boolean {
    for (const kind of KIND_NAMES) {
      for (const entry of this.desired.entries(kind)) if (entry.wish === "wanted" && isPublic(entry)) return false;
    }
    return true;
  }

  /** Is every name acknowledged that was asked for on the live connection? */
  get isSettled(): boolean {
    const { known } = this;
    return known !== "refusals" && known?.unsettled === 0;
  }

  /** Every name that users want. */
  names(): KindedName[] {
    return KIND_NAMES.flatMap((kind) => this.#wanted(kind));
  }

  /** Every name that was refused. */
  denials(): KindedName[] {
    return KIND_NAMES.flatMap((kind) => [...this.#denials[kind].keys()].map((name) => ({ kind, name })));
  }

  /** Has the server acknowledged this name on the live connection? */
  has(kind: Kind, name: string): boolean {
    return this.#confirmed()?.state(kind, name) === "subscribed";
  }

  /** What the live connection has confirmed; `"refusals"` where that does not tell alone where a wanted name stands. */
  get known(): Subscriptions | undefined | "refusals" {
    return this.hasDenials ? "refusals" : this.#confirmed();
  }

  /** Was any name refused? */
  get hasDenials(): boolean {
    const { channel, pattern, shard } = this.#denials;
    return channel.size + pattern.size + shard.size > 0;
  }

  /** Are these names at rest? */
  standings(names: readonly KindedName[]): Standing[] {
    const confirmed = this.#confirmed();
    const standings: Standing[] = [];
    for (const named of names) {
      const { kind, name } = named;
      const entry = named instanceof Entry && named.wish !== "gone" ? named : this.desired.find(kind, name);
      const state = entry === undefined || confirmed === undefined
        ? "absent"
        : entry.owner === confirmed
        ? entry.state
        : confirmed.state(kind, name);
      if (entry?.wish !== "wanted") standings.push(state === "absent" ? "settled" : "unsettled");
      else if (state === "subscribed") standings.push("settled");
      else if (this.#denials[kind].size === 0) standings.push("unsettled");
      else standings.push(this.#denials[kind].get(name) ?? "unsettled");
    }
    return standings;
  }

  /**
   * Another connection has become the live one, without a break: `had` is what the old one had confirmed, `has` what the
   * new one has, `denials` what that was refused. Gives what there is to tell, and which names are lost by it.
   */
  taken(had: Subscriptions, has: Subscriptions, denials: Denials): Taken {
    const events: Taken["events"][number][] = [];
    const refused: Record<Kind, Place[]> = { channel: [], pattern: [], shard: [] };
    for (const { kind, name } of this.names()) {
      if (has.state(kind, name) !== "subscribed") continue;
      this.#denials[kind].delete(name);
      if (had.state(kind, name) !== "subscribed") events.push({ type: "subscribed", kind, name });
    }
    for (const { type, kind, name, error } of denials) {
      if (has.state(kind, name) !== "denied" || !this.desired.has(kind, name) || isPrivate(name)) continue;
      if (!this.#denials[kind].has(name)) events.push({ type, kind, name, error });
      this.#denials[kind].set(name, error);
      const state = had.state(kind, name);
      if (state === "subscribed") refused[kind].push({ name, state });
    }
    for (const kind of KIND_NAMES) {
      for (const { name } of had.places(kind)) {
        const isGone = !this.desired.has(kind, name) && has.state(kind, name) === "absent";
        if (isGone && !isPrivate(name)) events.push({ type: "unsubscribed", kind, name });
      }
    }
    return { events, refused: { places: (kind) => refused[kind] } };
  }

  /** Where every name stands that is wanted, or still there. */
  subscriptions(): Subscription[] {
    const confirmed = this.#confirmed();
    return KIND_NAMES.flatMap((kind) => {
      const wanted = this.#wanted(kind).map(({ name }): Subscription => {
        const error = this.#denials[kind].get(name);
        if (error !== undefined) return { kind, name, state: "denied", error };
        return { kind, name, state: this.has(kind, name) ? "subscribed" : "pending" };
      });
      const leaving = [...confirmed?.places(kind) ?? []]
        .filter(({ name }) => !this.desired.has(kind, name) && !isPrivate(name));
      return [...wanted, ...leaving.map(({ name }): Subscription => ({ kind, name, state: "unsubscribing" }))];
    });
  }

  #wanted(kind: Kind): Entry[] {
    return this.desired.wanted(kind).filter(isPublic);
  }
}

/** What is private to this library is no business of users, and nobody holds it. */
function isPublic({ holder, name }: Entry): boolean {
  return holder !== undefined || !isPrivate(name);
}
