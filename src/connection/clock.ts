/**
 * Time and chance, as arguments: what waits or rolls dice is given a clock, so a test need not sleep.
 *
 * @module
 */

/** Where time, timers and chance come from. */
export interface Clock {
  /** Milliseconds of a clock that never goes back; its zero means nothing. */
  now(): number;
  /** Milliseconds since the epoch. */
  date(): number;
  /** At least 0, less than 1. */
  random(): number;
  /**
   * Runs `run` once, after `ms` milliseconds, or for 0 when all that can run now has run; the function that it gives back
   * calls it off.
   */
  after(ms: number, run: () => void): () => void;
}

/** Timers cannot wait longer than this; whoever waits looks again then. */
const LONGEST_MS = 2 ** 31 - 1;

/** The clock of the platform. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  random: () => Math.random(),
  after(ms, run) {
    if (ms === 0 && typeof setImmediate === "function") {
      const turn = setImmediate(run);
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(run, Math.min(Math.max(0, Math.ceil(ms)), LONGEST_MS));
    return () => clearTimeout(timer);
  },
};
