/**
 * What one round of chaos leaves behind for its judge. Times are in milliseconds since the epoch.
 *
 * @module
 */

import type { ClientEvent, Gap, Kind, StreamOptions } from "@earshot/redis";

/** The present moment, finer than a millisecond: what falls together cannot be told apart. */
export function moment(): number {
  return performance.timeOrigin + performance.now();
}

/** A message that was published, straight to the server. Numbers follow each other over all channels. */
export interface Published {
  readonly number: number;
  readonly verb: "PUBLISH" | "SPUBLISH";
  readonly channel: string;
  readonly sent: number;
  /** When the server had done it; where it died first nobody knows whether it did. */
  readonly done: number;
  readonly certain: boolean;
}

/** A message that a consumer has taken. */
export interface Taken {
  readonly kind: Kind;
  /** The channel, or the pattern that matched. */
  readonly name: string;
  readonly channel: string;
  readonly number: number;
  readonly gap: Gap | undefined;
  readonly at: number;
}

/** For how long a stream had a name. */
export interface Hold {
  readonly kind: Kind;
  readonly name: string;
  readonly asked: number;
  /** When the call resolved: from here on every message is due. */
  held?: number;
  /** When it was let go of: from here on no message may be new. */
  until?: number;
}

export type Overflow = NonNullable<StreamOptions<string>["overflow"]>;

/** One stream: the main one, or a local one. */
export interface StreamEvidence {
  readonly label: string;
  readonly overflow: Overflow;
  readonly taken: Taken[];
  readonly holds: Hold[];
  /** `cut short`: cancelled, or failed as its policy wants, so that messages at its end are nobody's. */
  ended: "no" | "cut short";
}

/** All of one round. */
export interface Evidence {
  readonly published: readonly Published[];
  readonly streams: readonly StreamEvidence[];
  readonly events: readonly ClientEvent[];
  /** A name that was wanted all the time. */
  readonly kept: string;
  /** What `stats()` said when all was over. */
  readonly stats: { readonly dropped: number; readonly delivered: number };
  /** When connections were frozen that nobody held up, each with the time in which that has to be noticed. */
  readonly freezes: readonly { readonly at: number; readonly withinMs: number }[];
  /** How long a message may have been on its way, and how late this program may have been. */
  readonly slackMs: number;
  /** And how long one may have waited besides, where the socket is not read all the time. */
  readonly unreadMs: number;
}
