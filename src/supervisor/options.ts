/**
 * What a supervisor is given, and whom it tells.
 *
 * @module
 */

import type { LinkOptions } from "../connection/link.ts";
import type { Endpoint } from "../endpoint.ts";
import type { RedisError } from "../errors.ts";
import type { ClientEventBody } from "../event.ts";
import type { GapReason } from "../message.ts";
import type { Subscriptions } from "../protocol/subscriptions.ts";
import type { Run } from "../run/run.ts";
import type { BackoffOptions } from "../connection/backoff.ts";
import type { KindedName } from "./calls.ts";

/** How the supervisor tries again. */
export interface ReconnectOptions extends BackoffOptions {
  /** How many attempts in a row may fail before all streams end with the last cause. */
  readonly maxAttempts: number;
}

/** What a supervisor is given. */
export interface SupervisorOptions {
  readonly link: LinkOptions;
  /** Which endpoint serves us now. */
  readonly locate: () => Promise<Endpoint>;
  readonly reconnect: ReconnectOptions | false;
  readonly waitOnFirstConnect: boolean;
  readonly closeTimeoutMs: number;
  /** After how long a name that was refused is asked for again, in milliseconds; `Infinity`: on the next connection only. */
  readonly deniedRetryMs: number;
  /** Publishes an empty message, elsewhere, within so many milliseconds; where it is given there is a canary. */
  readonly publish?: ((channel: string, timeoutMs: number) => Promise<unknown>) | undefined;
}

/** Why what a connection had is lost: it broke, or it could not be left without loss. */
export type LossReason = "reconnect" | "migration";

/** Who hears what the supervisor learns. Must not throw. */
export interface SupervisorListener {
  /** Messages came, to be taken one by one. What is left stays until the connection flows again. */
  messages(run: Run): void;
  /** Something happened that users may want to know. */
  event(event: ClientEventBody, endpoint: string | undefined): void;
  /** Does anybody hear of such events now? Where nobody does, it may be spared them. */
  hearsEvents(): boolean;
  /**
   * The connection is lost, or left, that was heard last at `since`, on the clock; `confirmed` is what it had. True when
   * that concerns anybody.
   */
  lost(since: number, confirmed: Pick<Subscriptions, "places">, reason: LossReason): boolean;
  /**
   * Every wanted name is acknowledged again, but for those that are denied, after {@linkcode lost}; or `regained`, which
   * was denied until now.
   */
  recovered(since: number, denied: readonly KindedName[], reasons: readonly GapReason[], regained?: KindedName): void;
  /** From now on `heard` is told of a message on this private channel, in its place; without it nobody is. */
  listen(channel: string, heard?: () => void): void;
  /** The first connection failed; nothing is wanted any more. */
  abandoned(cause: RedisError): void;
  /** There will be no further connection. */
  failed(cause: RedisError): void;
}
