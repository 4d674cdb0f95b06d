/**
 * What arrives: a message, and what may be missing before it.
 *
 * @module
 */

/** The three ways to subscribe: SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE. */
export type Kind = "channel" | "pattern" | "shard";

/**
 * Why messages may be missing. `reconnect`: the connection was lost; `overflow`: the queue was full; `migration`: a planned
 * move to another connection could not be made without loss; `denied`: the server refused a name for a while.
 */
export type GapReason = "reconnect" | "overflow" | "migration" | "denied";

/** What may be missing immediately before a message, on one stream. */
export interface Gap {
  /** Why messages may be missing; more than one where gaps met. */
  readonly reasons: GapReason[];
  /**
   * Since when: the last moment at which the lost connection was heard, or at which the first message was dropped. Earlier
   * where the socket was not read meanwhile, as with `overflow: "block"`.
   */
  readonly since: Date;
  /** How long nothing could be heard, in milliseconds: from `since` until the subscription stood again; 0 for an overflow. */
  readonly downMs: number;
  /** How many messages the queue of this stream dropped; what the server sent while we were away cannot be counted. */
  readonly dropped: number;
  /**
   * What became of it on a stream with the option `backfill`. `"filled"`: what was missing has been delivered
   * immediately before this message. `"unfilled"`: it has not, or not all of it.
   */
  readonly backfill?: "filled" | "unfilled";
}

/** One message of a subscription. */
export interface Message<T = string> {
  /** How it was subscribed to. */
  readonly kind: Kind;
  /** The channel on which it was published. A byte that is not UTF-8 appears as the lone surrogate U+DC80 to U+DCFF. */
  readonly channel: string;
  /** The pattern that matched; set for pattern subscriptions only. */
  readonly pattern: string | undefined;
  /** What was published, decoded by the codec of the stream. */
  readonly payload: T;
  /** What may be missing immediately before this message, on this stream. */
  readonly gap: Gap | undefined;
}
