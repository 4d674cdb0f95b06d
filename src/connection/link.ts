/**
 * Opens one connection: asks for credentials, dials within the deadline, and leaves no socket behind when it gives up.
 *
 * @module
 */

import { type Endpoint, endpointText } from "../endpoint.ts";
import { ConnectionError, RedisError, ReplyError, TimeoutError } from "../errors.ts";
import { authentication, type HandshakeOptions, withoutCredentials } from "../protocol/handshake.ts";
import type { KeepAliveOptions } from "../protocol/keepalive.ts";
import type { SessionEvent } from "../protocol/push.ts";
import type { Desired } from "../protocol/subscriptions.ts";
import type { Reply } from "../resp/reply.ts";
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
  /**
   * When they cease to be valid: a date, or milliseconds since the epoch; it must be in the future. When four fifths of the
   * time until then are over, but not within a second, `credentials` is asked again, and what it gives is used on the
   * connections that stand. When that fails it is told as an event `error` and tried again, after a second, then after twice
   * as long, at most after 30 seconds; the connection goes on as long as the server lets it. @default {never}
   */
  readonly expiresAt?: Date | number | undefined;
}

/** Credentials that were looked at. */
export type Identity = Credentials & { readonly expiresAt?: number | undefined };

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
  /** Ask the server to tell of maintenance, in RESP3? */
  readonly maintenance?: boolean;
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

/** What a server may be about that does not answer, or not in RESP. */
const NO_TLS = ", which may not speak TLS on this port";
const SPEAKS_TLS = "it may speak TLS on this port: rediss://";

/**
 * Opens a connection, which its `start` sets in motion.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached
 * @throws {TimeoutError} when dialling takes longer than `connectTimeoutMs`
 */
export async function openConnection(endpoint: Endpoint, link: LinkOptions, open: OpenOptions): Promise<Connection> {
  const { clock, connectTimeoutMs } = link;
  const name = endpointText(endpoint);
  const secure = endpoint.tls !== undefined;
  const abort = new AbortController();
  const stop = () => abort.abort(open.signal.reason);
  if (open.signal.aborted) stop();
  open.signal.addEventListener("abort", stop, { once: true });
  const cancel = clock.after(
    connectTimeoutMs,
    () => abort.abort(new TimeoutError(`Connecting to ${name}${secure ? NO_TLS : ""}`, connectTimeoutMs)),
  );
  try {
    const credentials = await unlessAborted(abort.signal, () => identify(link));
    const { signal } = abort;
    const transport = await unlessAborted(signal, () => link.dial(endpoint, { signal }), (late) => late.close());
    return new Connection(transport, {
      clock,
      endpoint: name,
      mute: secure || endpoint.path !== undefined ? undefined : SPEAKS_TLS,
      expiresAt: credentials.expiresAt,
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

/**
 * Asks who we are.
 *
 * @throws {TypeError} when `expiresAt` is neither a date nor a number
 * @throws {RangeError} when it is not in the future
 */
export async function identify({ credentials, clock }: LinkOptions): Promise<Identity> {
  const { expiresAt, ...identity } = await credentials();
  if (expiresAt === undefined) return identity;
  if (typeof expiresAt !== "number" && !(expiresAt instanceof Date)) {
    throw new TypeError(`expiresAt must be a Date or a number: ${typeof expiresAt}`);
  }
  const at = Number(expiresAt);
  if (at > clock.date()) return { ...identity, expiresAt: at };
  throw new RangeError(`expiresAt must be in the future, in milliseconds since the epoch: ${at}`);
}

/** Proves once more, on a live connection, who we are; rejects where the server refuses it, and then nothing has changed. */
export async function authenticate(connection: Connection, credentials: Identity, protocol: 2 | 3): Promise<void> {
  const { username = protocol === 3 ? "default" : undefined } = credentials;
  const command = authentication({ ...credentials, username });
  if (command === undefined) return;
  const reply = await new Promise<Reply | undefined>((resolve) => connection.ask(command, resolve));
  if (reply === undefined) throw await connection.ended;
  if (reply.type === "simple-error" || reply.type === "bulk-error") {
    throw new ReplyError(withoutCredentials(reply.value, credentials), command[0]);
  }
}
