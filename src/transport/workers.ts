/**
 * The leaf over `cloudflare:sockets`, for Workers and Durable Objects. Importing it does no I/O.
 *
 * @module
 */

import { type Endpoint, endpointText } from "../endpoint.ts";
import {
  alreadyClosed,
  alreadyReading,
  cannotConnect,
  connectionLost,
  type Dial,
  REASONS,
  type Transport,
} from "./transport.ts";

/** As much of the platform's socket as is used here. */
interface Socket {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<unknown>;
  readonly closed: Promise<unknown>;
  close(): Promise<unknown>;
  startTls(): Socket;
}

interface Sockets {
  connect(
    address: { hostname: string; port: number },
    options: { secureTransport: "off" | "starttls"; allowHalfOpen: boolean },
  ): Socket;
}

/** Not named where it is imported: the bundlers of other runtimes would look for it. */
const MODULE: string = "cloudflare:sockets";

/**
 * Dials with `connect` of `cloudflare:sockets`. The platform trusts public authorities only, and checks the server's
 * certificate against the host. An abort while a TLS handshake stalls rejects at once, but frees the socket only when the
 * server answers or hangs up, or when the request is over.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached, and the platform does not tell why; for a unix socket and
 * for options of TLS that the platform does not have, with a `TypeError` as its `cause`
 */
export const dial: Dial = async (endpoint, { signal }) => {
  const { host, port, tls } = endpoint;
  refuse(endpoint);
  signal.throwIfAborted();
  const { connect }: Sockets = await import(/* webpackIgnore: true */ /* @vite-ignore */ MODULE);
  signal.throwIfAborted();
  const text = endpointText(endpoint);
  // TLS comes in a second step, so that a host that is not there and a handshake that fails are two errors.
  let reason: string = REASONS.unexplained;
  let socket: Socket | undefined;
  try {
    socket = connect(
      { hostname: host.includes(":") ? `[${host}]` : host, port },
      { secureTransport: tls === undefined ? "off" : "starttls", allowHalfOpen: false },
    );
    await opening(socket, signal);
    if (tls !== undefined) {
      reason = REASONS.handshake;
      await opening(socket = socket.startTls(), signal);
    }
    return new WorkersTransport(socket, text);
  } catch (error) {
    closeQuietly(socket);
    signal.throwIfAborted();
    throw cannotConnect(text, reason, error);
  }
};

function refuse(endpoint: Endpoint): void {
  const { host, path, tls = {} } = endpoint;
  const option = path !== undefined
    ? "path"
    : tls.caCerts !== undefined
    ? "tls.caCerts"
    : tls.cert !== undefined || tls.key !== undefined
    ? "tls.cert"
    : tls.serverName !== undefined && tls.serverName !== host
    ? "tls.serverName"
    : undefined;
  if (option === undefined) return;
  const misuse = new TypeError(`Workers cannot do what this option asks for: ${option}`);
  throw cannotConnect(endpointText(endpoint), misuse.message, misuse);
}

async function opening({ opened, closed }: Socket, signal: AbortSignal): Promise<void> {
  closed.catch(() => {});
  let abort = () => {};
  try {
    await new Promise((resolve, reject) => {
      opened.then(resolve, reject);
      signal.addEventListener("abort", abort = () => reject(signal.reason));
    });
    // The abort may have come in the very turn in which the platform resolved.
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function closeQuietly(socket: Socket | undefined): void {
  socket?.close().catch(() => {});
}

/**
 * The longest read, in bytes, and that of whoever brings no room. A drain of 600 MB took `workerd` 2.5 s of processor time
 * without memory of ours, as the platform then reads 4 KiB at a time; 0.43 s into 64 KiB and 0.3 s into 256 KiB, with the
 * copy into the room.
 */
const LONGEST = 256 * 1024;
const OWN_ROOM = 64 * 1024;
/** Memory that is so many times as large as what is asked for is let go. */
const TOO_LARGE = 8;

class WorkersTransport implements Transport {
  readonly #socket: Socket;
  readonly #endpoint: string;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What the platform reads into: it keeps the memory of a read to itself, so that memory cannot be a room. */
  #memory = new ArrayBuffer(0);
  #state: "idle" | "reading" | "closed" = "idle";
  readonly #writes = new Set<(error: Error) => void>();

  constructor(socket: Socket, endpoint: string) {
    this.#socket = socket;
    this.#endpoint = endpoint;
    this.#reader = socket.readable.getReader({ mode: "byob" });
    this.#writer = socket.writable.getWriter();
    for (const { closed } of [this.#reader, this.#writer]) closed.catch(() => {});
  }

  async read(room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
    if (this.#state === "reading") throw alreadyReading();
    if (this.#state === "closed") return undefined;
    this.#state = "reading";
    const size = Math.min(room?.byteLength ?? OWN_ROOM, LONGEST);
    const has = this.#memory.byteLength;
    if (has < size || has > size * TOO_LARGE) this.#memory = new ArrayBuffer(size);
    try {
      const { value } = await this.#reader.read(new Uint8Array(this.#memory, 0, size));
      if (this.#isClosed()) return undefined;
      this.#state = "idle";
      this.#memory = value?.buffer ?? new ArrayBuffer(0);
      if (value === undefined || value.byteLength === 0) return undefined;
      if (room === undefined) return value.slice();
      room.set(value);
      return room.subarray(0, value.byteLength);
    } catch (error) {
      if (this.#isClosed()) return undefined;
      this.#state = "idle";
      throw connectionLost(this.#endpoint, REASONS.reset, error);
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed()) return Promise.reject(alreadyClosed(this.#endpoint));
    return new Promise((resolve, reject) => {
      this.#writes.add(reject);
      this.#writer.write(bytes).then(resolve, (error) => reject(connectionLost(this.#endpoint, REASONS.ended, error)))
        .finally(() => this.#writes.delete(reject));
    });
  }

  close(): void {
    if (this.#isClosed()) return;
    this.#state = "closed";
    closeQuietly(this.#socket);
    // The platform does not answer every write of a socket that is gone, so we do.
    for (const reject of this.#writes) reject(alreadyClosed(this.#endpoint));
  }

  /** A method, since `close` may be called during any await, which narrowing does not know. */
  #isClosed(): boolean {
    return this.#state === "closed";
  }
}
