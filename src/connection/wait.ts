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
 * What `promise` gives, unless the signal is aborted or the time is up first.
 *
 * @throws {TimeoutError} when `timeoutMs` passed first
 */
export function within<T>(promise: Promise<T>, what: string, options: CallOptions, clock: Clock): Promise<T> {
  const { signal, timeoutMs } = options;
  if (signal === undefined && timeoutMs === undefined) return promise;
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
    promise.catch(() => {});
    return Promise.reject(new RangeError(`timeoutMs must be at least 0: ${timeoutMs}`));
  }
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

/** Waits for `ms` milliseconds, or until the signal is aborted; never rejects. */
export function sleep(ms: number, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const wake = () => {
      cancel();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const cancel = clock.after(ms, wake);
    signal.addEventListener("abort", wake, { once: true });
  });
}
