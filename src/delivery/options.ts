/**
 * How one stream delivers, checked and completed; and how an option is checked.
 *
 * @module
 */

import { type Codec, text } from "../codec.ts";

/** How one stream delivers. */
export interface StreamOptions<T> {
  /** How payloads become values. @default {text} */
  codec?: Codec<T>;
  /**
   * What happens when the queue is full. `"drop-oldest"`: the oldest message goes, and the gap is told. `"block"`: the
   * socket is not read until there is room, so that the server feels it; that holds up every stream of this `PubSub`.
   * While a call waits for the server, more messages are taken, since its answer comes behind them.
   * @default {"drop-oldest"}
   */
  overflow?: "drop-oldest" | "block";
  /** How many messages may wait. @default {65536} */
  maxQueuedMessages?: number;
  /** How many bytes of payload may wait; one message may always wait, whatever its size. @default {16777216} */
  maxQueuedBytes?: number;
  /** What a payload that the codec rejects does. `"error"`: it ends the stream. `"skip"`: it is left out, counted, and told as an event. @default {"error"} */
  onDecodeError?: "error" | "skip";
}

const STREAM_OPTIONS: Readonly<Record<keyof StreamOptions<unknown>, true>> = {
  codec: true,
  overflow: true,
  maxQueuedMessages: true,
  maxQueuedBytes: true,
  onDecodeError: true,
};

/**
 * Completes the options of a stream.
 *
 * @throws {TypeError} when an option is unknown or of the wrong type
 * @throws {RangeError} when a number is out of range
 */
export function resolveStreamOptions<U>(options: StreamOptions<U>): Required<StreamOptions<U>> {
  checkKeys("a stream", options, STREAM_OPTIONS);
  const { overflow = "drop-oldest", onDecodeError = "error" } = options;
  if (options.codec !== undefined && typeof options.codec?.decode !== "function") {
    throw new TypeError("codec must be an object with a method decode, such as json");
  }
  if (overflow !== "drop-oldest" && overflow !== "block") {
    throw new TypeError(`overflow must be "drop-oldest" or "block": ${JSON.stringify(overflow)}`);
  }
  if (onDecodeError !== "error" && onDecodeError !== "skip") {
    throw new TypeError(`onDecodeError must be "error" or "skip": ${JSON.stringify(onDecodeError)}`);
  }
  return {
    // Without a codec T is string, its default.
    codec: options.codec ?? text as unknown as Required<StreamOptions<U>>["codec"],
    overflow,
    onDecodeError,
    maxQueuedMessages: whole("maxQueuedMessages", options.maxQueuedMessages ?? 65_536, 1),
    maxQueuedBytes: whole("maxQueuedBytes", options.maxQueuedBytes ?? 16 * 1024 * 1024, 1),
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
