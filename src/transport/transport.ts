/**
 * A byte stream to a peer, and how to get one. A transport knows no RESP. Below the contract stand the words
 * of the errors that its leaves share.
 *
 * @module
 */

import type { Endpoint } from "../endpoint.ts";
import { ConnectionError } from "../errors.ts";

/** A connected byte stream. One reader at a time; close it also when the peer has ended it or when it broke. */
export interface Transport {
  /**
   * Resolves with the next bytes, at least one, as soon as there are any. Resolves with `undefined` when the peer has ended
   * the stream, or after {@linkcode close}; what came before that end, or before a break, is delivered first. While nobody
   * calls it, the transport stops reading the socket after a bounded amount, so the peer feels backpressure.
   *
   * `room` is memory of the caller, at least one byte, that the transport may fill from its start: the chunk is then a view
   * of the same buffer from the same position. From the call until the promise settles the room belongs to the transport,
   * afterwards to the caller again, who may overwrite it. A transport may also ignore the room. A chunk in other memory
   * belongs to the caller and is never written to again, though it may share a larger buffer with its neighbours.
   *
   * @throws {ConnectionError} when the connection broke
   * @throws {TypeError} while an earlier read is pending
   */
  read(room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined>;
  /**
   * Writes all of `bytes`; resolves when the socket has taken them. The bytes must not change until then. Writes go out
   * whole and in the order of the calls, also when one does not wait for the other.
   *
   * @throws {ConnectionError} when the connection broke or was closed
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Closes at once, in both directions; a pending read resolves with `undefined`, a pending write rejects, and what has
   * arrived unread is dropped. Idempotent, never throws.
   */
  close(): void;
}

/** One of our own, which tells at once what has come, and makes no promise and no view for it. */
export interface TellingTransport extends Transport {
  /**
   * As {@linkcode read}, but one method of `taker` is called, later, and may read again.
   *
   * @throws {TypeError} while an earlier read is pending
   */
  readFor(taker: Taker, room: Uint8Array<ArrayBuffer>): void;
}

/** Who takes what one read has brought. Its methods must not throw. */
export interface Taker {
  /** So many bytes were put into the room, from its start. */
  filled(count: number): void;
  /**
   * A chunk in other memory. Where that is lent, whatever stands in its buffer up to its end is the taker's to read and to
   * write to until the next read; then it is the transport's again.
   */
  took(chunk: Uint8Array, memory: "kept" | "lent"): void;
  /** The peer has ended the stream, or the connection broke. */
  ended(error?: ConnectionError): void;
}

/** What `read` tells a taker, which has brought this room, as the promise of a {@linkcode Transport.read}. */
export function promised(read: (taker: Taker) => void, room?: Uint8Array): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) =>
    read({
      filled: (count) => resolve(room!.subarray(0, count)),
      took: resolve,
      ended: (error) => error === undefined ? resolve(undefined) : reject(error),
    })
  );
}

/** What {@linkcode Dial} is given besides the endpoint. */
export interface DialOptions {
  /** Gives up: the dial rejects with the reason of the signal and leaves no socket behind. */
  signal: AbortSignal;
}

/**
 * Opens a transport to an endpoint; under TLS it resolves after the handshake. Bring your own for a proxy, a tunnel or a
 * test.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached; its text says why, its `cause` is the platform's error
 */
export type Dial = (endpoint: Endpoint, options: DialOptions) => Promise<Transport>;

/** Why a connection cannot be made or was lost: the platforms word it in their own ways, users read it in one. */
export const REASONS = {
  refused: "connection refused",
  reset: "connection reset by the peer",
  ended: "the peer closed the connection",
  timedOut: "the peer does not answer",
  unreachable: "no route to the host",
  unknownHost: "the host name cannot be resolved",
  noSocket: "no socket exists at this path",
  forbidden: "the operating system denies access",
  untrusted: "the server's certificate is signed by an unknown authority, add its root certificate to tls.caCerts",
  wrongName: "the server's certificate is for another host name, check the host or set tls.serverName",
  expired: "the server's certificate has expired",
  noCertificate: "the server asks for a client certificate, give it as tls.cert and tls.key",
  badCertificate: "the server does not accept the client certificate",
  unusable: "tls.caCerts, tls.cert or tls.key cannot be used: all must be PEM, and the key that of the certificate",
  notTls: "the server does not speak TLS on this port",
  unexplained: "the platform does not tell why",
  handshake: "the TLS handshake failed, the platform does not tell why: it may be the certificate or the port",
  endedInHandshake:
    "the peer broke off the TLS handshake, it may not speak TLS on this port, or want a client certificate",
} as const;

/** The error of a dial. `endpoint` is its text, `reason` one of {@linkcode REASONS} or the platform's own words. */
export function cannotConnect(endpoint: string, reason: string, cause: unknown): ConnectionError {
  return new ConnectionError(`Cannot connect to ${endpoint}: ${reason}`, { endpoint, cause });
}

/** The error of a read or a write whose connection broke, with the same arguments as {@linkcode cannotConnect}. */
export function connectionLost(endpoint: string, reason: string, cause?: unknown): ConnectionError {
  return new ConnectionError(`Lost the connection to ${endpoint}: ${reason}`, { endpoint, cause });
}

/** The error of a write after this side's own close. */
export function alreadyClosed(endpoint: string): ConnectionError {
  return new ConnectionError(`Cannot write to ${endpoint}: the connection was closed on this side`, { endpoint });
}

/** The error of a read that does not wait for the one before it. */
export function alreadyReading(): TypeError {
  return new TypeError("Cannot read: an earlier read is still pending");
}
