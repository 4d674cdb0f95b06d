/**
 * How one stream delivers, checked and completed; and how an option is checked.
 *
 * @module
 */

import { type Codec, text } from "../codec.ts";
import type { Gap, Message } from "../message.ts";
import { type Overflow, POLICIES } from "./overflow.ts";

/** How one stream delivers. */
export interface StreamOptions<T> {
  /** How payloads become values. @default {text} */
  codec?: Codec<T>;
  /**
   * What happens when the queue is full. What is dropped is counted, and told as a gap where it is missing.
   *
   * - `"drop-oldest"`: the oldest message goes.
   * - `"drop-newest"`: the message that comes goes.
   * - `"latest"`: one message of each channel waits. A newer one takes the place of the older, also where there is room,
   *   so that every channel has its turn; order holds within a channel. When the queue is full, the oldest goes.
   * - `"block"`: the socket is not read until there is room, so that the server feels it; that holds up every stream of
   *   this `PubSub`. While a call waits for the server, more messages are taken, since its answer comes behind them.
   * - `"error"`: the stream ends with an {@linkcode OverflowError} after what waits.
   *
   * @default {"drop-oldest"}
   */
  overflow?: Overflow;
  /** How many messages may wait. @default {65536} */
  maxQueuedMessages?: number;
  /** How many bytes of payload may wait; one message may always wait, whatever its size. @default {16777216} */
  maxQueuedBytes?: number;
  /** What a payload that the codec rejects does. `"error"`: it ends the stream. `"skip"`: it is left out, counted, and told as an event. @default {"error"} */
  onDecodeError?: "error" | "skip";
  /** Fills gaps, as from a log. @default {nothing does: gaps are told} */
  backfill?: Backfiller<T>;
  /**
   * How long a backfill may be waited for in all, in milliseconds, not counting the time in which it waits for the
   * consumer.
   * @default {10000}
   */
  backfillTimeoutMs?: number;
}

/**
 * Gives what is missing in a gap, in order; `undefined` leaves it unfilled. Called when the consumer comes to the gap and
 * every name is subscribed again (or refused): what is published from then on comes by itself, so read to the end, and
 * expect that the last messages come again. They are delivered immediately before the message that tells the gap, one
 * read ahead; newer ones wait in the queue, within its limits. That message has `gap.backfill: "filled"`, or
 * `"unfilled"` when this throws or takes longer than `backfillTimeoutMs`, which is an event `error`, too. `signal` is
 * aborted then, and when the stream ends first. Every gap is asked for, also that of an overflow; but not, with
 * `overflow: "latest"`, that of an overflow alone.
 */
export type Backfiller<T> = (gap: Gap, signal: AbortSignal) => AsyncIterable<Message<T>> | undefined;

/** The options of a stream, complete. */
export type StreamSettings<T> =
  & Required<Omit<StreamOptions<T>, "backfill">>
  & { readonly backfill: Backfiller<T> | undefined };

const STREAM_OPTIONS: Readonly<Record<keyof StreamOptions<unknown>, true>> = {
  codec: true,
  overflow: true,
  maxQueuedMessages: true,
  maxQueuedBytes: true,
  onDecodeError: true,
  backfill: true,
  backfillTimeoutMs: true,
};

/**
 * Completes the options of a stream.
 *
 * @throws {TypeError} when an option is unknown or of the wrong type
 * @throws {RangeError} when a number is out of range
 */
export function resolveStreamOptions<U>(options: StreamOptions<U>): StreamSettings<U> {
  checkKeys("a stream", options, STREAM_OPTIONS);
  const { overflow = "drop-oldest", onDecodeError = "error", backfill } = options;
  if (options.codec !== undefined && typeof options.codec?.decode !== "function") {
    throw new TypeError("codec must be an object with a method decode, such as json");
  }
  if (!Object.hasOwn(POLICIES, overflow)) {
    throw new TypeError(`overflow must be one of ${Object.keys(POLICIES).join(", ")}: ${JSON.stringify(overflow)}`);
  }
  if (onDecodeError !== "error" && onDecodeError !== "skip") {
    throw new TypeError(`onDecodeError must be "error" or "skip": ${JSON.stringify(onDecodeError)}`);
  }
  if (backfill !== undefined && typeof backfill !== "function") {
    throw new TypeError(`backfill must be a function: ${typeof backfill}`);
  }
  return {
    // Without a codec T is string, its default.
    codec: options.codec ?? text as unknown as Codec<U>,
    overflow,
    onDecodeError,
    maxQueuedMessages: whole("maxQueuedMessages", options.maxQueuedMessages ?? 65_536, 1),
    maxQueuedBytes: whole("maxQueuedBytes", options.maxQueuedBytes ?? 16 * 1024 * 1024, 1),
    backfill,
    backfillTimeoutMs: number("backfillTimeoutMs", options.backfillTimeoutMs ?? 10_000, 0),
  };
}

/** Throws when `options` has a key that `known` has not, or is no object. */
export function checkKeys(what: string, options: object, known: object): void {
  if (options === null || options === undefined) throw new TypeError(`The options of ${what} must be an object`);
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(known, key)) throw new TypeError(`Unknown option of ${what}: ${JSON.stringify(key)}`);
  }
}

/** A whole number within its range. */
export function whole(name: string, value: number, least: number, most?: number): number {
  if (Number.isInteger(number(name, value, least, most))) return value;
  throw new RangeError(`${name} must be a whole number: ${value}`);
}

/** A number within its range. */
export function number(name: string, value: number, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number: ${typeof value}`);
  if (!(value >= least && value <= most)) throw new RangeError(`${name} must be from ${least} to ${most}: ${value}`);
  return value;
}
