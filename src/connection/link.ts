/**
 * Opens one connection: asks for credentials, dials within the deadline, and leaves no socket behind when it gives up.
 *
 * @module
 */

import { type Endpoint, endpointText } from "../endpoint.ts";
import { ConnectionError, RedisError, TimeoutError } from "../errors.ts";
import type { HandshakeOptions } from "../protocol/handshake.ts";
import type { KeepAliveOptions } from "../protocol/keepalive.ts";
import type { SessionEvent } from "../protocol/session.ts";
import type { Desired } from "../protocol/subscriptions.ts";
import type { ReaderLimits } from "../resp/limits.ts";
import type { Dial } from "../transport/transport.ts";
import type { Clock } from "./clock.ts";
import { Connection } from "./connection.ts";
import { unlessAborted } from "./wait.ts";

/** Who we are at the server. */
export interface Credentials {
  /** The ACL user. @default {"default"} */
  readonly username?: string | undefined;
  /** The password. */
  readonly password?: string | undefined;
}

/** What every connection of one client has in common. */
export interface LinkOptions {
  readonly dial: Dial;
  /** Asked for each connection. */
  readonly credentials: () => Promise<Credentials>;
  readonly handshake: Omit<HandshakeOptions, keyof Credentials>;
  readonly keepAlive: KeepAliveOptions | false;
  /** How long dialling may take, and then again how long the handshake may take, in milliseconds. */
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly limits: Partial<ReaderLimits>;
  readonly clock: Clock;
}

/** What differs from connection to connection. */
export interface OpenOptions {
  /** Gives up: no socket is left behind. */
  readonly signal: AbortSignal;
  /** What to subscribe to; a connection without it is for commands. */
  readonly desired?: Desired;
  readonly onEvent: (event: SessionEvent) => void;
}

/**
 * Opens a connection, which its `start` sets in motion.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached
 * @throws {TimeoutError} when dialling takes longer than `connectTimeoutMs`
 */
export async function openConnection(endpoint: Endpoint, link: LinkOptions, open: OpenOptions): Promise<Connection> {
  const { clock, connectTimeoutMs } = link;
  const name = endpointText(endpoint);
  const abort = new AbortController();
  const stop = () => abort.abort(open.signal.reason);
  if (open.signal.aborted) stop();
  open.signal.addEventListener("abort", stop, { once: true });
  const cancel = clock.after(
    connectTimeoutMs,
    () => abort.abort(new TimeoutError(`Connecting to ${name}`, connectTimeoutMs)),
  );
  try {
    const credentials = await unlessAborted(abort.signal, () => link.credentials());
    const { signal } = abort;
    const transport = await unlessAborted(signal, () => link.dial(endpoint, { signal }), (late) => late.close());
    return new Connection(transport, {
      clock,
      endpoint: name,
      onEvent: open.onEvent,
      session: {
        handshake: { ...link.handshake, ...credentials },
        keepAlive: link.keepAlive,
        handshakeTimeoutMs: connectTimeoutMs,
        commandTimeoutMs: link.commandTimeoutMs,
        limits: link.limits,
        desired: open.desired,
      },
    });
  } catch (error) {
    if (error instanceof RedisError) throw error;
    throw new ConnectionError(`Cannot connect to ${name}`, { endpoint: name, cause: error });
  } finally {
    cancel();
    open.signal.removeEventListener("abort", stop);
  }
}
