import { setImmediate } from "node:timers";
import type { Clock } from "../../src/connection/clock.ts";

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Lets every promise settle that can settle without a timer or a socket. */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** A clock whose time moves only when told, and whose dice fall as told. */
export class ManualClock implements Clock {
  /** What {@linkcode random} gives; at 0.5 jitter adds nothing. */
  dice = 0.5;
  /** How many timers there ever were. */
  made = 0;
  #now = 10_000;
  #slept = 0;
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  date(): number {
    return 1_700_000_000_000 + this.#now + this.#slept;
  }

  random(): number {
    return this.dice;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), run };
    this.#timers.push(timer);
    this.made++;
    return () => this.#remove(timer);
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves the time and runs what is due, in order; promises settle before and after each. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let timer; (timer = this.#next(until)) !== undefined;) {
      this.#now = Math.max(this.#now, timer.at);
      this.#remove(timer);
      timer.run();
      await settle();
    }
    this.#now = until;
  }

  /** Moves the time as a machine does that slept: nothing runs in between, and what is due runs late. */
  async jump(ms: number): Promise<void> {
    this.#now += ms;
    await this.advance(0);
  }

  /** Sleeps as a machine does whose clock stands still meanwhile: only the date tells. */
  sleep(ms: number): void {
    this.#slept += ms;
  }

  #next(until: number): Timer | undefined {
    const due = this.#timers.filter((timer) => timer.at <= until);
    return due.reduce<Timer | undefined>((first, timer) => first && first.at <= timer.at ? first : timer, undefined);
  }

  #remove(timer: Timer): void {
    const index = this.#timers.indexOf(timer);
    if (index >= 0) this.#timers.splice(index, 1);
  }
}
