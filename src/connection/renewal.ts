/**
 * Credentials that expire are asked for again before they do, as long as the connection lives that they opened.
 *
 * @module
 */

import { ConnectionError, RedisError } from "../errors.ts";
import type { Clock } from "./clock.ts";
import type { Identity } from "./link.ts";
import { sleep, within } from "./wait.ts";

/** The share of the remaining time after which credentials are renewed. */
const SHARE = 0.8;
/** The shortest time until they are, in milliseconds: also where they live for less, or a provider gives the same ones again. */
const LEAST_MS = 1_000;
/** The longest wait after a renewal that failed, in milliseconds; the first is {@linkcode LEAST_MS}. */
const MOST_MS = 30_000;

/** How to renew. */
export interface RenewalOptions {
  readonly clock: Clock;
  readonly credentials: () => Promise<Identity>;
  /** How long that may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Uses new credentials; rejects where they are refused. */
  readonly apply: (credentials: Identity) => Promise<void>;
  /** Hears why a renewal failed; it is tried again. */
  readonly failed: (error: RedisError) => void;
}

/** The renewals of one connection. */
export class Renewal {
  #options: RenewalOptions;
  #stopped = new AbortController();

  /** `expiresAt`: when the present credentials do, in milliseconds since the epoch; undefined: never. */
  constructor(expiresAt: number | undefined, options: RenewalOptions) {
    this.#options = options;
    void this.#run(expiresAt);
  }

  /** Renews no more. */
  stop(): void {
    this.#stopped.abort();
  }

  async #run(expiresAt: number | undefined): Promise<void> {
    const { clock, credentials, timeoutMs, apply, failed } = this.#options;
    const { signal } = this.#stopped;
    let failures = 0;
    while (expiresAt !== undefined) {
      const now = clock.date();
      const due = now +
        (failures === 0
          ? Math.max(LEAST_MS, (expiresAt - now) * SHARE)
          : Math.min(MOST_MS, LEAST_MS * 2 ** (failures - 1)));
      // Timers have a longest time.
      while (!signal.aborted && clock.date() < due) await sleep(due - clock.date(), signal, clock);
      if (signal.aborted) return;
      try {
        const renewed = await within(credentials(), "credentials", { signal, timeoutMs }, clock);
        await apply(renewed);
        failures = 0;
        expiresAt = renewed.expiresAt;
      } catch (error) {
        failures++;
        if (signal.aborted) return;
        failed(
          error instanceof RedisError
            ? error
            : new ConnectionError("Cannot renew the credentials: asking for them failed", { cause: error }),
        );
      }
    }
  }
}
