/**
 * When to PING, and when to give a connection up: for its silence, or for an answer that does not come. After `idleMs`
 * of silence a PING is due; when `timeoutMs` more pass and nothing at all was heard, one last look is taken, and then the
 * connection is dead. So it is with the answer to a command, save that other words do not count for it.
 *
 * The last look is there because timers run before sockets are read: when the program itself was busy, the PONG may be
 * waiting in the socket while the deadline passes. When the machine slept, the network needs longer to come back than a
 * program does: a PING is due at once, and one that was on its way gets its full time anew; but only once in a silence,
 * or a program that is always late would never find out. While we are the ones who do not read, silence proves nothing,
 * and the clock stands still.
 *
 * This file does not know the clock; `now` is an argument, in milliseconds of a clock that never goes back.
 *
 * @module
 */

/** How long silence is borne. */
export interface KeepAliveOptions {
  /** Silence before a PING, in milliseconds. */
  readonly idleMs: number;
  /** Further silence before the connection is dead, in milliseconds. */
  readonly timeoutMs: number;
}

/** What is due: nothing, a PING, or the end. */
export type KeepAliveVerdict = "wait" | "ping" | "dead";

/** How long the last look takes, in milliseconds: long enough for one round of the event loop. */
export const LAST_LOOK_MS = 50;

/** The machine: `listening` → `probing` → `last-look` → dead; anything heard leads back to `listening`. */
export class KeepAlive {
  #options: KeepAliveOptions | false;
  #state: "listening" | "probing" | "last-look" | "paused" = "listening";
  /** Since when the present state lasts; for `listening`, when something was heard last. */
  #since: number;
  /** Was the deadline put off in this silence? */
  #sleep: "none" | "excused" = "none";

  /** Starts listening at `now`; `false` never finds anything due. */
  constructor(options: KeepAliveOptions | false, now: number) {
    this.#options = options;
    this.#since = now;
  }

  /** How long a PONG may take, in milliseconds. */
  get timeoutMs(): number {
    return this.#options === false ? Infinity : this.#options.timeoutMs;
  }

  /** Something was heard. */
  heard(now: number): void {
    if (this.#state !== "paused") this.#state = "listening";
    this.#since = now;
    this.#sleep = "none";
  }

  /** We stop reading: silence means nothing from now on. */
  pause(): void {
    this.#state = "paused";
  }

  /** We read again. */
  resume(now: number): void {
    this.#state = "listening";
    this.#since = now;
    this.#sleep = "none";
  }

  /** The machine slept until `now`: what is due. A `ping` that is told counts as sent. */
  wake(now: number): KeepAliveVerdict {
    if (this.#options === false || this.#state === "paused") return "wait";
    if (this.#sleep === "excused") return this.check(now);
    const verdict = this.#state === "listening" ? "ping" : "wait";
    this.#state = "probing";
    this.#since = now;
    this.#sleep = "excused";
    return verdict;
  }

  /** When {@linkcode check} should be asked next; `Infinity`: not before something else happens. */
  deadline(): number {
    if (this.#options === false) return Infinity;
    switch (this.#state) {
      case "listening":
        return this.#since + this.#options.idleMs;
      case "probing":
        return this.#since + this.#options.timeoutMs;
      case "last-look":
        return this.#since + LAST_LOOK_MS;
      case "paused":
        return Infinity;
    }
  }

  /** What is due at `now`. A `ping` that is told counts as sent. */
  check(now: number): KeepAliveVerdict {
    if (now < this.deadline()) return "wait";
    switch (this.#state) {
      case "listening":
        this.#state = "probing";
        this.#since = now;
        return "ping";
      case "probing":
        this.#state = "last-look";
        this.#since = now;
        return "wait";
      default:
        return "dead";
    }
  }
}

/**
 * How long the answer to the oldest command is waited for: `full` → `last-look` → over, or, when something is heard, →
 * `extended` → over. What is heard in the last look, but is not the answer, was in the socket before it: the answer has
 * its full time once more, and only once, or a busy channel would excuse for ever a server that never answers.
 */
export class Patience {
  #state: "full" | "last-look" | "extended" | "paused" = "full";
  /** Since when the present state lasts. */
  #since: number;

  /** Starts with its full time at `now`. */
  constructor(now: number) {
    this.#since = now;
  }

  /** Does the clock stand still? */
  get paused(): boolean {
    return this.#state === "paused";
  }

  /** An answer came, or a wait begins: the next answer has its full time. */
  renew(now: number): void {
    if (this.#state !== "paused") this.#state = "full";
    this.#since = now;
  }

  /** Something was heard, whether it is the answer or not. */
  heard(now: number): void {
    if (this.#state !== "last-look") return;
    this.#state = "extended";
    this.#since = now;
  }

  /** The machine slept until `now`: the answer has its full time once more, as after the last look, and only once. */
  wake(now: number): void {
    if (this.#state !== "full" && this.#state !== "last-look") return;
    this.#state = "extended";
    this.#since = now;
  }

  /** We stop reading: no time runs. */
  pause(): void {
    this.#state = "paused";
  }

  /** We read again, with full time. */
  resume(now: number): void {
    this.#state = "full";
    this.#since = now;
  }

  /** When {@linkcode isOver} should be asked next; `Infinity`: not before something else happens. */
  deadline(timeoutMs: number): number {
    switch (this.#state) {
      case "full":
      case "extended":
        return this.#since + timeoutMs;
      case "last-look":
        return this.#since + LAST_LOOK_MS;
      case "paused":
        return Infinity;
    }
  }

  /** Is it over at `now`? The first time that it would be, the last look begins instead. */
  isOver(now: number, timeoutMs: number): boolean {
    if (now < this.deadline(timeoutMs)) return false;
    if (this.#state !== "full") return true;
    this.#state = "last-look";
    this.#since = now;
    return false;
  }
}
