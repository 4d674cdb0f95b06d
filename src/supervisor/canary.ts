/**
 * A proof of the subscription, not of the socket: a message is published on a private channel, by the connection for
 * commands, and must be heard on the subscriber.
 *
 * 1. Every `idleMs`, whatever else is heard: messages of other channels prove nothing of this one, and PONGs nothing of any.
 * 2. When the server has published it, the subscriber sends a PING. A server keeps order, so the canary comes before the
 *    PONG, however much else waits in between, and whether or not we read meanwhile. Behind a proxy or a cluster it may
 *    come later: it has `timeoutMs` from the beginning, and then a last PING.
 * 3. Not heard: the connection is dead, whatever its socket says. What could not be published proves nothing, and is told.
 *
 * @module
 */

import type { Clock } from "../connection/clock.ts";
import { type RedisError, ReplyError, TimeoutError } from "../errors.ts";
import { privateChannel } from "../name.ts";

/** What a canary is given. */
export interface CanaryOptions {
  readonly clock: Clock;
  /** How long between two of them, and how long one may take, in milliseconds. */
  readonly idleMs: number;
  readonly timeoutMs: number;
  /** Publishes to this channel, within `timeoutMs`. */
  readonly publish: (channel: string, timeoutMs: number) => Promise<unknown>;
}

/** Where a canary lives. */
export interface CanaryNest {
  /** Sends a PING on the live connection, and tells whether it was answered. */
  ask(answered: (sign: "alive" | "ended") => void): void;
  /** The subscription is dead. */
  dead(cause: TimeoutError): void;
  /** The canary cannot sing. */
  mute(cause: RedisError): void;
}

/** One canary. */
export class Canary {
  /** Where it sings. */
  readonly channel: string;
  #options: CanaryOptions;
  #nest: CanaryNest;
  /** Whatever an earlier round awaits is of no interest any more. */
  #round = 0;
  #song: "awaited" | "heard" = "heard";
  /** Was it told that it cannot sing? Once, until it has sung again. */
  #mute: "untold" | "told" = "untold";
  #cancel: () => void = () => {};

  /** Is silent until {@linkcode start}. */
  constructor(options: CanaryOptions, nest: CanaryNest) {
    const word = () => Math.floor(options.clock.random() * 2 ** 52).toString(36);
    this.channel = privateChannel(`canary:${word()}${word()}`);
    this.#options = options;
    this.#nest = nest;
  }

  /** The server has acknowledged the channel on a new connection. */
  start(): void {
    this.stop();
    this.#rest(this.#round);
  }

  /** The connection has ended. */
  stop(): void {
    this.#round++;
    this.#cancel();
  }

  /** The message came. */
  heard(): void {
    this.#song = "heard";
    this.#mute = "untold";
  }

  /** The server refuses the channel, or to publish there: no song on this connection. */
  refused(cause: RedisError): void {
    this.stop();
    this.#tell(cause);
  }

  #rest(round: number): void {
    const { clock, idleMs } = this.#options;
    this.#cancel = clock.after(idleMs, () => void this.#sing(round));
  }

  async #sing(round: number): Promise<void> {
    const { clock, publish, timeoutMs } = this.#options;
    const until = clock.now() + timeoutMs;
    this.#song = "awaited";
    try {
      await publish(this.channel, timeoutMs);
    } catch (error) {
      if (round !== this.#round) return;
      if (error instanceof ReplyError) return this.refused(error);
      this.#tell(error as RedisError);
      return this.#rest(round);
    }
    if (round === this.#round) this.#listen(round, until);
  }

  #listen(round: number, until: number): void {
    this.#nest.ask((sign) => {
      if (sign === "ended" || round !== this.#round) return;
      const { clock, timeoutMs } = this.#options;
      const leftMs = until - clock.now();
      if (this.#song === "heard") this.#rest(round);
      else if (leftMs > 0) this.#cancel = clock.after(leftMs, () => this.#listen(round, until));
      else this.#nest.dead(new TimeoutError("canary", timeoutMs));
    });
  }

  #tell(cause: RedisError): void {
    if (this.#mute === "told") return;
    this.#mute = "told";
    this.#nest.mute(cause);
  }
}
