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

/**
 * Makes a message, a plain object as a literal would be. V8 notes for each literal whether what it made outlived the first
 * collections, and may then make all of it in the old generation for good, which keeps what it refers to alive as well:
 * with 100,000 channels Node got 2.3 instead of 5.0 million messages a second. Of constructors it notes nothing.
 */
export const PlainMessage = build as unknown as new <T>(...fields: Parameters<typeof build<T>>) => Message<T>;

function build<T>(
  this: { -readonly [K in keyof Message<T>]: Message<T>[K] },
  kind: Kind,
  channel: string,
  pattern: string | undefined,
  payload: T,
  gap: Gap | undefined,
): void {
  this.kind = kind;
  this.channel = channel;
  this.pattern = pattern;
  this.payload = payload;
  this.gap = gap;
}
build.prototype = Object.prototype;
