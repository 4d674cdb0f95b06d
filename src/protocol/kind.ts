/**
 * The three kinds of subscription, as rows of data. Whatever differs between channels, patterns and shard channels
 * stands here and nowhere else; code looks a row up, it never compares the letters of a verb.
 *
 * @module
 */

import type { Kind } from "../message.ts";

/** What differs between the kinds. */
export interface KindRow {
  readonly kind: Kind;
  /** The command that subscribes. */
  readonly subscribe: string;
  /** The command that unsubscribes. */
  readonly unsubscribe: string;
  /** The label of the push that acknowledges {@linkcode subscribe}. */
  readonly subscribed: string;
  /** The label of the push that acknowledges {@linkcode unsubscribe}, or that revokes. */
  readonly unsubscribed: string;
  /** The label of the push that carries a message. */
  readonly message: string;
  /** How many elements a message push has, its label included. */
  readonly messageArity: 3 | 4;
  /** Which count an acknowledgement carries: channels and patterns share one, shard channels have their own. */
  readonly count: "shared" | "shard";
  /** May the server take the subscription away by itself? It does when a slot moves to another node. */
  readonly revocable: boolean;
}

/** The table. */
export const KINDS: Readonly<Record<Kind, KindRow>> = {
  channel: {
    kind: "channel",
    subscribe: "SUBSCRIBE",
    unsubscribe: "UNSUBSCRIBE",
    subscribed: "subscribe",
    unsubscribed: "unsubscribe",
    message: "message",
    messageArity: 3,
    count: "shared",
    revocable: false,
  },
  pattern: {
    kind: "pattern",
    subscribe: "PSUBSCRIBE",
    unsubscribe: "PUNSUBSCRIBE",
    subscribed: "psubscribe",
    unsubscribed: "punsubscribe",
    message: "pmessage",
    messageArity: 4,
    count: "shared",
    revocable: false,
  },
  shard: {
    kind: "shard",
    subscribe: "SSUBSCRIBE",
    unsubscribe: "SUNSUBSCRIBE",
    subscribed: "ssubscribe",
    unsubscribed: "sunsubscribe",
    message: "smessage",
    messageArity: 3,
    count: "shard",
    revocable: true,
  },
};

/** Every kind, in the order in which subscriptions are made and listed. */
export const KIND_NAMES: readonly Kind[] = ["channel", "pattern", "shard"];
