/**
 * What a connection tells about itself.
 *
 * @module
 */

import type { RedisError, ReplyError } from "./errors.ts";
import type { Gap, Kind } from "./message.ts";

/** What every event carries. */
export interface EventContext {
  /** Where the connection goes, as `host:port` or `unix:path`, where there is one. */
  readonly endpoint?: string | undefined;
  /** When it happened, in milliseconds since the epoch. */
  readonly at: number;
}

/** What happened; a discriminated union over `type`. */
export type ClientEventBody =
  | { readonly type: "connecting"; readonly attempt: number }
  | { readonly type: "connected"; readonly protocol: 2 | 3 }
  | { readonly type: "ready" }
  | { readonly type: "disconnected"; readonly error: RedisError }
  | { readonly type: "reconnecting"; readonly attempt: number; readonly delayMs: number }
  | { readonly type: "subscribed" | "unsubscribed"; readonly kind: Kind; readonly name: string }
  | { readonly type: "denied"; readonly kind: Kind; readonly name: string; readonly error: ReplyError }
  | { readonly type: "gap"; readonly gap: Gap }
  | { readonly type: "overflow"; readonly dropped: number }
  | { readonly type: "error"; readonly error: RedisError }
  | { readonly type: "closed" };

/**
 * What a connection tells about itself, as it happens. `ready` means that the server has answered for every name that
 * was wanted when the connection opened: acknowledged, or refused, which `denied` has told before. `gap` means that
 * messages may have been missed. A connection that takes the place of another one without a break tells `connected` and
 * `ready`, and there is no `disconnected`. `attempt` counts the connections that failed in a row, the lost one included.
 */
export type ClientEvent = ClientEventBody & EventContext;
