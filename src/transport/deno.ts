/**
 * The leaf over Deno's own sockets.
 *
 * @module
 */

import { type Endpoint, endpointText, type TlsOptions } from "../endpoint.ts";
import {
  alreadyClosed,
  alreadyReading,
  cannotConnect,
  connectionLost,
  type Dial,
  promised,
  REASONS,
  type Taker,
  type TellingTransport,
} from "./transport.ts";

/**
 * Dials with `Deno.connect`, `Deno.startTls` and `Deno.connectTls`. Needs `--allow-net=host:port`; for a unix socket
 * `--allow-net=unix:path --allow-read=path --allow-write=path`.
 *
 * Two limits of Deno 2.9: a connection with a client certificate keeps the delay of small writes (Nagle), and an abort
 * while a TLS handshake stalls rejects at once but frees the socket only when the server answers or hangs up.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached; its text says why, its `cause` is the platform's error
 * @throws {TypeError} for TLS over a unix socket, and for a client certificate together with a server name that is not the
 * host: Deno's own API can do neither
 */
export const dial: Dial = async (endpoint, { signal }) => {
  const { path, tls } = endpoint;
  if (tls !== undefined && path !== undefined) {
    throw new TypeError(`Deno's own API cannot speak TLS over a unix socket: ${path}`);
  }
  if (tls?.cert !== undefined && tls.serverName !== undefined && tls.serverName !== endpoint.host) {
    throw new TypeError(
      `Deno's own API cannot combine tls.cert with a tls.serverName that is not the host: ${tls.serverName}`,
    );
  }
  signal.throwIfAborted();
  let conn: Deno.Conn;
  try {
    conn = await connect(endpoint, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw cannotConnect(endpointText(endpoint), dialReason(error, endpoint), error);
  }
  // The abort may have come in the very turn in which the platform resolved.
  if (signal.aborted) closeQuietly(conn);
  signal.throwIfAborted();
  return new DenoTransport(conn, endpointText(endpoint));
};

async function connect(endpoint: Endpoint, signal: AbortSignal): Promise<Deno.Conn> {
  const { path, tls } = endpoint;
  if (path !== undefined) return await untilAborted(Deno.connect({ transport: "unix", path }), signal);
  if (tls === undefined) return await connectTcp(endpoint, signal);
  const conn = tls.cert === undefined
    ? await connectTls(endpoint, tls, signal)
    : await untilAborted(Deno.connectTls(certificateOptions(endpoint, tls)), signal);
  const abort = () => closeQuietly(conn);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    await conn.handshake();
    return conn;
  } catch (error) {
    closeQuietly(conn);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function connectTcp({ host, port }: Endpoint, signal: AbortSignal): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: host, port, signal });
  conn.setNoDelay(true);
  return conn;
}

/** In two steps, since only `Deno.connect` takes a signal and only its connection can be told to send at once. */
async function connectTls(endpoint: Endpoint, tls: TlsOptions, signal: AbortSignal): Promise<Deno.TlsConn> {
  const conn = await connectTcp(endpoint, signal);
  try {
    const caCerts = tls.caCerts ?? [];
    return await Deno.startTls(conn, { hostname: tls.serverName ?? endpoint.host, caCerts });
  } catch (error) {
    closeQuietly(conn);
    throw error;
  }
}

function certificateOptions(
  { host, port }: Endpoint,
  { caCerts = [], cert = "", key = "" }: TlsOptions,
): Deno.ConnectTlsOptions & Deno.TlsCertifiedKeyPem {
  return { hostname: host, port, caCerts, cert, key };
}

/** For a platform call that takes no signal: the caller is let go at once, a connection that comes later is closed. */
function untilAborted<T extends Deno.Conn>(connecting: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    connecting.then((conn) => {
      signal.removeEventListener("abort", abort);
      if (signal.aborted) closeQuietly(conn);
      else resolve(conn);
    }, (error) => {
      signal.removeEventListener("abort", abort);
      reject(error);
    });
  });
}

/** Deno throws on the second close, and the abort of a dial may come second. */
function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/**
 * After a read this long, in bytes, the next one waits for a turn of the event loop. Deno resolves a read at once, some
 * hundred times in a row, while the socket has bytes: whoever consumes what was read would not get to run meanwhile, and
 * a queue would overflow before a consumer that is fast enough. Shorter reads mean that the socket is nearly empty. The
 * turn is 10 % of the processor time of a drain into a room of 64 KiB, and 2 % into one of 256 KiB.
 */
const LONG_READ = 1024;

/**
 * After a shorter one the next one begins when whoever waited for what was read has run: to begin it takes 1 µs, which was a
 * third of the time that a message by itself took from the read to its consumer.
 */
const NOW = Promise.resolve();

/** The longest read, in bytes, of whoever brings no room. */
const OWN_ROOM = 64 * 1024;

class DenoTransport implements TellingTransport {
  readonly #conn: Deno.Conn;
  readonly #endpoint: string;
  /** For whoever brings no room; made on first use. */
  #ownRoom: Uint8Array<ArrayBuffer> | undefined;
  #state: "open" | "closed" = "open";
  /** Who has a read under way, and where to. */
  #taker: Taker | undefined;
  #room: Uint8Array<ArrayBuffer> | undefined;
  /** How many bytes the last read took. */
  #lastRead = 0;
  #lastWrite: Promise<void> = Promise.resolve();
  /** How many are not done. */
  #writes = 0;

  constructor(conn: Deno.Conn, endpoint: string) {
    this.#conn = conn;
    this.#endpoint = endpoint;
  }

  async read(room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
    const own = room ?? (this.#ownRoom ??= new Uint8Array(OWN_ROOM));
    const chunk = await promised((taker) => this.readFor(taker, own), own);
    return room === undefined ? chunk?.slice() : chunk;
  }

  readFor(taker: Taker, room: Uint8Array<ArrayBuffer>): void {
    if (this.#taker !== undefined) throw alreadyReading();
    this.#taker = taker;
    this.#room = room;
    (this.#lastRead < LONG_READ ? NOW : nextTurn()).then(this.#read);
  }

  #read = (): void => void this.#conn.read(this.#room!).then(this.#filled, this.#broke);

  #filled = (count: number | null): void => {
    const taker = this.#taker!;
    this.#taker = undefined;
    if (count === null || this.#isClosed()) return taker.ended();
    this.#lastRead = count;
    taker.filled(count);
  };

  #broke = (error: unknown): void => {
    const taker = this.#taker!;
    this.#taker = undefined;
    taker.ended(this.#isClosed() ? undefined : connectionLost(this.#endpoint, reason(error), error));
  };

  write(bytes: Uint8Array): Promise<void> {
    // `Deno.Conn.write` may take a part only, and parts of two writes must not mix.
    const write = this.#writes === 0 ? this.#writeAll(bytes) : this.#lastWrite.then(() => this.#writeAll(bytes));
    this.#writes++;
    this.#lastWrite = write.then(this.#wrote, this.#wrote);
    return write;
  }

  #wrote = (): void => void this.#writes--;

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    closeQuietly(this.#conn);
  }

  #writeAll(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed()) return Promise.reject(alreadyClosed(this.#endpoint));
    if (bytes.byteLength === 0) return Promise.resolve();
    return this.#conn.write(bytes).then(
      (count) => count === bytes.byteLength ? undefined : this.#writeAll(bytes.subarray(count)),
      (error) => {
        throw this.#isClosed() ? alreadyClosed(this.#endpoint) : connectionLost(this.#endpoint, reason(error), error);
      },
    );
  }

  /** A method, since `close` may be called between any two awaits, which narrowing does not know. */
  #isClosed(): boolean {
    return this.#state === "closed";
  }
}

/** Resolves after everything that can run now has run; some 1 µs. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function dialReason(error: unknown, { path, tls }: Endpoint): string {
  if (error instanceof Deno.errors.NotCapable) {
    const [, kind, target] = /^Requires (\w+) access to "([^"]*)"/.exec(error.message) ?? [];
    const flags = path !== undefined
      ? `--allow-net=unix:${path} --allow-read=${path} --allow-write=${path}`
      : kind === undefined
      ? "--allow-net"
      : `--allow-${kind}=${target}`;
    return `Deno denies the permission, run with ${flags}`;
  }
  const { ConnectionReset, BrokenPipe, UnexpectedEof } = Deno.errors;
  const isBrokenOff = [ConnectionReset, BrokenPipe, UnexpectedEof].some((kind) => error instanceof kind);
  return tls !== undefined && isBrokenOff ? REASONS.endedInHandshake : reason(error);
}

/** What no class of its own tells: Deno's words for a failed look-up, and those of rustls. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/failed to lookup address/, REASONS.unknownHost],
  [/UnknownIssuer/, REASONS.untrusted],
  [/not valid for name|NotValidForName/, REASONS.wrongName],
  [/certificate expired|: Expired/, REASONS.expired],
  [/received corrupt message/, REASONS.notTls],
  [/alert: CertificateRequired/, REASONS.noCertificate],
  [/alert: (\w*Certificate\w*|UnknownCA)/, REASONS.badCertificate],
  [/alert: HandshakeFailure/, REASONS.endedInHandshake],
  [/^No \w+ found in|^Unable to (decode|add)|parse private key|KeyMismatch/, REASONS.unusable],
];

function reason(error: unknown): string {
  const { errors } = Deno;
  if (error instanceof errors.ConnectionRefused) return REASONS.refused;
  if (error instanceof errors.ConnectionReset) return REASONS.reset;
  if (error instanceof errors.ConnectionAborted || error instanceof errors.BrokenPipe) return REASONS.ended;
  if (error instanceof errors.UnexpectedEof) return REASONS.ended;
  if (error instanceof errors.TimedOut) return REASONS.timedOut;
  if (error instanceof errors.NetworkUnreachable) return REASONS.unreachable;
  if (error instanceof errors.NotFound) return REASONS.noSocket;
  if (error instanceof errors.PermissionDenied) return REASONS.forbidden;
  const text = error instanceof Error ? error.message : String(error);
  return WORDS.find(([words]) => words.test(text))?.[1] ?? text;
}
