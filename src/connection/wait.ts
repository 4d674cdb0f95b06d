/**
 * Waiting that ends.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import type { Clock } from "./clock.ts";

/** How long a call may wait. */
export interface CallOptions {
  /** Gives up waiting: the call rejects with the reason of the signal. */
  signal?: AbortSignal | undefined;
  /** Gives up waiting after so many milliseconds, with a `TimeoutError`. @default {as long as it takes} */
  timeoutMs?: number | undefined;
}

/**
 * Looks at the options of a call before anything is done for it.
 *
 * @throws {TypeError} when there is an unknown one, or one of the wrong type
 * @throws {RangeError} when `timeoutMs` is less than 0
 */
export function checkCall(options: CallOptions): void {
  // A signal in the place of the options would be a signal that nobody listens to.
  if (typeof options !== "object" || options === null || "aborted" in options) {
    throw new TypeError("The options of a call must be an object, such as { signal, timeoutMs }");
  }
  for (const key in options) {
    if (key !== "signal" && key !== "timeoutMs") {
      throw new TypeError(`Unknown option of a call: ${JSON.stringify(key)}`);
    }
  }
  const { signal, timeoutMs = 0 } = options;
  if (signal !== undefined && typeof signal?.aborted !== "boolean") {
    throw new TypeError(`signal must be an AbortSignal: ${typeof signal}`);
  }
  if (typeof timeoutMs !== "number") throw new TypeError(`timeoutMs must be a number: ${typeof timeoutMs}`);
  if (!(timeoutMs >= 0)) throw new RangeError(`timeoutMs must be at least 0: ${timeoutMs}`);
}

/**
 * What `promise` gives, unless the signal is aborted or the time is up first.
 *
 * @throws {TimeoutError} when `timeoutMs` passed first
 */
export function within<T>(promise: Promise<T>, what: string, options: CallOptions, clock: Clock): Promise<T> {
  const { signal, timeoutMs } = options;
  if (signal === undefined && timeoutMs === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => done(() => reject(signal!.reason));
    const cancel = timeoutMs === undefined
      ? undefined
      : clock.after(timeoutMs, () => done(() => reject(new TimeoutError(what, timeoutMs))));
    const done = (settle: () => void) => {
      cancel?.();
      signal?.removeEventListener("abort", abort);
      settle();
    };
    promise.then((value) => done(() => resolve(value)), (error) => done(() => reject(error)));
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** What `run` gives, unless the signal is aborted first: what comes after that is discarded. */
export async function unlessAborted<T>(
  signal: AbortSignal,
  run: () => Promise<T>,
  discard: (late: T) => void = () => {},
): Promise<T> {
  signal.throwIfAborted();
  const running = run();
  return await new Promise((resolve, reject) => {
    const abort = () => {
      running.then(discard, () => {});
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    const settle = () => signal.removeEventListener("abort", abort);
    running.then(resolve, reject).finally(settle);
  });
}

/** Waits for `ms` milliseconds, if that is more than none, or until the signal is aborted; never rejects. */
export function sleep(ms: number, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || ms <= 0) return resolve();
    const wake = () => {
      cancel();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const cancel = clock.after(ms, wake);
    signal.addEventListener("abort", wake, { once: true });
  });
}
