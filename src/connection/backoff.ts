/**
 * How long to wait before the next attempt.
 *
 * @module
 */

/** How attempts are spaced. */
export interface BackoffOptions {
  /** The wait before the first attempt, in milliseconds, from the loss on; more than 0. */
  readonly initialDelayMs: number;
  /** The longest wait, in milliseconds, before jitter. */
  readonly maxDelayMs: number;
  /** By what each wait is longer than the one before. */
  readonly factor: number;
  /** The share of a wait, 0 to 1, that chance may add or take away, so that many clients do not come back as one. */
  readonly jitter: number;
}

/** The wait before attempt `attempt` (1 is the first), in milliseconds; `random` is at least 0 and less than 1. */
export function backoffMs(attempt: number, random: number, options: BackoffOptions): number {
  const { initialDelayMs, maxDelayMs, factor, jitter } = options;
  // After a long outage the power overflows to Infinity; the cap takes care of it.
  return Math.min(initialDelayMs * factor ** (attempt - 1), maxDelayMs) * (1 + jitter * (2 * random - 1));
}
