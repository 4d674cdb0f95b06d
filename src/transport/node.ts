/**
 * The leaf over `node:net` and `node:tls`, for Node, Bun and whatever else has them.
 *
 * @module
 */

import type { OnReadOpts, Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { type Endpoint, endpointText, type TlsOptions } from "../endpoint.ts";
import type { ConnectionError } from "../errors.ts";
import {
  alreadyClosed,
  alreadyReading,
  cannotConnect,
  connectionLost,
  type Dial,
  type DialOptions,
  promised,
  REASONS,
  type Taker,
  type TellingTransport,
  type Transport,
} from "./transport.ts";

/** Built-in modules of Node that are used here. */
interface Builtins {
  "node:net": typeof import("node:net");
  "node:tls": typeof import("node:tls");
}

/** A built-in module. It is not imported: a bundle would then import it at its start, also on Workers, and not load. */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  return globalThis.process.getBuiltinModule(name);
}

/**
 * Dials with `net.connect` or `tls.connect`, and reads through `onread`: the socket fills memory of ours, where a `'data'`
 * event costs an allocation of 64 KiB and an event for every read, however small.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached; its text says why, its `cause` is the platform's error
 */
export const dial: Dial = (endpoint, options) =>
  connect(endpoint, options, (inbox) => {
    // TLS may bring several pieces before whoever waits for the first gets to run.
    if (endpoint.tls === undefined) inbox.memory = "lent";
    return open(endpoint, { buffer: () => inbox.target, callback: (count) => inbox.filled(count) });
  });

/**
 * The same for Bun, where a chunk is memory of its own from the start: `onread` is one more copy of it, and a `'data'` event
 * some 2 µs of stream. So it is taken where it enters the stream, and only the end goes in. It is read where it is, but for
 * a short one: to copy that takes 250 ns less than to look at memory that is new each time.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached; its text says why, its `cause` is the platform's error
 */
export const dialOnBun: Dial = (endpoint, options) =>
  connect(endpoint, options, (inbox) => {
    const socket = open(endpoint);
    const push = socket.push.bind(socket);
    socket.push = (chunk: Uint8Array | null) => chunk === null ? push(null) : inbox.push(chunk, "ours");
    return socket;
  });

function connect(endpoint: Endpoint, { signal }: DialOptions, open: (inbox: Inbox) => Socket): Promise<Transport> {
  if (signal.aborted) return Promise.reject(signal.reason);
  const text = endpointText(endpoint);
  const inbox = new Inbox(endpoint.tls === undefined ? "plain" : "secure");
  let socket: Socket;
  try {
    socket = open(inbox);
  } catch (error) {
    return Promise.reject(cannotConnect(text, reason(error), error));
  }
  const transport = new NodeTransport(socket, text, inbox);
  return new Promise((resolve, reject) => {
    const ready = endpoint.tls === undefined ? "connect" : "secureConnect";
    const connected = () => {
      forget();
      socket.setNoDelay(true);
      resolve(transport);
    };
    const failed = (error?: Error) => {
      forget();
      transport.close();
      reject(cannotConnect(text, dialReason(error, endpoint), error));
    };
    // A socket that closes without an error must not leave the dial pending.
    const closed = () => failed();
    const abort = () => {
      forget();
      transport.close();
      reject(signal.reason);
    };
    const forget = () => {
      socket.off(ready, connected).off("error", failed).off("close", closed);
      signal.removeEventListener("abort", abort);
    };
    socket.once(ready, connected).once("error", failed).once("close", closed);
    signal.addEventListener("abort", abort, { once: true });
  });
}

/** The transport of a socket that somebody else has made: an accepted one, which takes no `onread`. */
export function nodeTransport(socket: Socket, endpoint: string): Transport {
  const inbox = new Inbox("encrypted" in socket ? "secure" : "plain");
  const transport = new NodeTransport(socket, endpoint, inbox);
  socket.on("data", (chunk: Uint8Array) => {
    if (!inbox.push(chunk, "ours")) socket.pause();
  });
  return transport;
}

/** Bytes that stay as they are. `slice` of the platform's own class does not copy, which no reader of a `Uint8Array` expects. */
function kept(bytes: Uint8Array, memory: "ours" | "lent"): Uint8Array {
  return memory === "lent" ? bytes.slice() : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function open(endpoint: Endpoint, onread?: OnReadOpts): Socket {
  const { host, port, path } = endpoint;
  const where = { ...(path === undefined ? { host, port } : { path }), ...(onread === undefined ? {} : { onread }) };
  if (endpoint.tls === undefined) return builtin("node:net").connect(where);
  // `tls.connect` hands `onread` to its socket, which its types do not know.
  const options: ConnectionOptions & { onread?: OnReadOpts } = {
    ...where,
    ...tlsOptions(endpoint.tls, host),
  };
  return builtin("node:tls").connect(options);
}

function tlsOptions({ caCerts, cert, key, serverName }: TlsOptions, host: string): ConnectionOptions {
  const tls = builtin("node:tls");
  const name = serverName ?? host;
  return {
    // An address may not stand in the SNI, but the certificate is checked against it all the same.
    ...(builtin("node:net").isIP(name) === 0 ? { servername: name } : {}),
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity(name, certificate),
    // `ca` replaces the system's own roots, so they are given again. Node 20 cannot list those of NODE_EXTRA_CA_CERTS.
    ...(caCerts === undefined
      ? {}
      : { ca: [...(tls.getCACertificates?.("default") ?? tls.rootCertificates), ...caCerts] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

/**
 * What the sockets of the thread read into. Node asks for the memory of the next read when a call returns: that is the room
 * of a taker who wants more by then, where little came. Who does not has no room; but Node calls before it reads another
 * socket, so all can share this, and an idle connection holds none. The copy into the room takes 37 ns of a message of 1 KiB,
 * of some 450, so what brings much lends instead. With 128 KiB such a message takes a tenth more.
 */
const SCRATCH = new Uint8Array(256 * 1024);

/**
 * After a read of so many bytes a connection reads into memory of its own, and lends it, until so many reads in a row were
 * shorter. For a short one it is not worth to pause the socket meanwhile.
 */
const LONG_BYTES = 64 * 1024;
const SHORT_READS = 8;
/** In front of what is lent there is room for the beginning of a message, in bytes. */
const FRONT_BYTES = 8 * 1024;
/** Up to this length, in bytes, a chunk is copied into the room, though it may stay where it is; a read was a short one. */
const SHORT_BYTES = 1024;

/**
 * What has arrived and was not read yet. The socket is paused while there is any, but for the `node:tls` of Deno 2.9: it
 * reads on all the same, and forgets an end that comes meanwhile.
 */
class Inbox {
  readonly #chunks: Uint8Array[] = [];
  #flow: "flowing" | "paused" | "not to be paused";
  /** Who has a read under way, its room, and whether it may be lent more than that. */
  #taker: Taker | undefined;
  #room: Uint8Array<ArrayBuffer> | undefined;
  #memory: "kept" | "lent" = "kept";
  /** What follows the last chunk. */
  #end: "open" | "ended" | ConnectionError = "open";
  /** Where the socket is to put the next bytes, and whether that may be lent. */
  target = SCRATCH;
  memory: "kept" | "lent" = "kept";
  /** Memory of its own, while much comes. */
  #long: Uint8Array<ArrayBuffer> | undefined;
  #shortReads = 0;

  constructor(socket: "plain" | "secure") {
    this.#flow = socket === "secure" && "Deno" in globalThis ? "not to be paused" : "flowing";
  }

  /** So many bytes were put into {@linkcode target}, which may be another one then; `false` when the socket should pause. */
  filled(count: number): boolean {
    const taker = this.#taker;
    if (taker !== undefined && this.target === this.#room) {
      this.#taker = undefined;
      taker.filled(count);
    } else if (!this.#lend(count)) this.push(this.target.subarray(0, count), "lent");
    const room = count <= SHORT_BYTES && this.#taker !== undefined ? this.#room : undefined;
    this.target = this.#long ?? room ?? SCRATCH;
    return this.#flow !== "paused";
  }

  /** Lends what came where that is in memory of its own; makes such memory, where much came. */
  #lend(count: number): boolean {
    const [taker, long] = [this.#taker, this.#long];
    this.#shortReads = count < LONG_BYTES ? this.#shortReads + 1 : 0;
    if (this.#shortReads >= SHORT_READS) this.#long = undefined;
    if (count < LONG_BYTES || taker === undefined || this.#memory === "kept" || this.#flow !== "flowing") return false;
    this.#long ??= new Uint8Array(FRONT_BYTES + SCRATCH.length).subarray(FRONT_BYTES);
    if (long === undefined) return false;
    this.#taker = undefined;
    taker.took(long.subarray(0, count), "lent");
    // Nothing more may come before the loan is over.
    if (this.#taker === undefined) this.#flow = "paused";
    return true;
  }

  /** Takes bytes, of memory that is `"lent"` until this returns; `false` when the socket should pause. */
  push(bytes: Uint8Array, memory: "ours" | "lent"): boolean {
    const taker = this.#taker;
    this.#taker = undefined;
    if (taker === undefined) this.#chunks.push(kept(bytes, memory));
    else {
      const room = this.#room;
      // Memory of ours may be handed out to consumers where it is; what is copied would have to be copied once more.
      const most = memory === "lent" ? Infinity : Math.min(SHORT_BYTES, room?.byteLength ?? 0);
      if (room === undefined || bytes.byteLength > most) taker.took(kept(bytes, memory), "kept");
      else {
        const part = bytes.byteLength <= room.byteLength ? bytes : bytes.subarray(0, room.byteLength);
        room.set(part);
        if (part !== bytes) this.#chunks.push(bytes.slice(part.byteLength));
        taker.filled(part.byteLength);
      }
    }
    // A reader that keeps up has a read pending whenever bytes come.
    if (this.#chunks.length > 0 && this.#flow === "flowing") this.#flow = "paused";
    return this.#flow !== "paused";
  }

  /** Whether the paused socket should flow again; true once. */
  wantsMore(): boolean {
    if (this.#flow !== "paused" || this.#chunks.length > 0 || this.#end !== "open") return false;
    this.#flow = "flowing";
    return true;
  }

  readFor(taker: Taker, room: Uint8Array<ArrayBuffer> | undefined, memory: "kept" | "lent"): void {
    if (this.#taker !== undefined) throw alreadyReading();
    if (this.#chunks.length > 0 || this.#end !== "open") return this.#tellLater(taker);
    this.#taker = taker;
    this.#room = room;
    this.#memory = memory;
  }

  #tellLater(taker: Taker): void {
    const chunk = this.#chunks.shift();
    const cause = this.#end instanceof Error ? this.#end : undefined;
    queueMicrotask(() => chunk === undefined ? taker.ended(cause) : taker.took(chunk, "kept"));
  }

  /** Nothing more comes; the first end stands. */
  end(how: "ended" | ConnectionError): void {
    if (this.#end !== "open") return;
    this.#end = how;
    const taker = this.#taker;
    this.#taker = undefined;
    taker?.ended(how === "ended" ? undefined : how);
  }

  /** Forgets what was not read, and ends. */
  close(): void {
    this.#chunks.length = 0;
    this.end("ended");
    this.#end = "ended";
  }
}

const NOTHING = new Uint8Array(0);
const TAKEN = Promise.resolve();

class NodeTransport implements TellingTransport {
  readonly #socket: Socket;
  readonly #endpoint: string;
  readonly #inbox: Inbox;
  /** What a write rejects with from now on, once there is such a thing. */
  #failure: ConnectionError | undefined;
  readonly #writes = new Set<(error: ConnectionError) => void>();

  constructor(socket: Socket, endpoint: string, inbox: Inbox) {
    this.#socket = socket;
    this.#endpoint = endpoint;
    this.#inbox = inbox;
    socket.on("end", () => inbox.end("ended"));
    // Stays for good: a socket may emit an error after its close too, and one without a listener ends the process.
    socket.on("error", (error: Error) => {
      const lost = connectionLost(endpoint, reason(error), error);
      this.#fail(lost);
      inbox.end(lost);
    });
    socket.on("close", () => {
      this.#fail(connectionLost(endpoint, REASONS.ended));
      inbox.end("ended");
    });
  }

  read(room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
    return promised((taker) => this.readFor(taker, room, "kept"), room);
  }

  readFor(taker: Taker, room?: Uint8Array<ArrayBuffer>, memory: "kept" | "lent" = this.#inbox.memory): void {
    this.#inbox.readFor(taker, room, memory);
    if (this.#inbox.wantsMore()) this.#socket.resume();
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (bytes.byteLength === 0) return TAKEN;
    const socket = this.#socket;
    // TLS never takes it at once.
    if (this.#writes.size > 0 || "encrypted" in socket) return this.#writeBehind(bytes);
    socket.write(bytes);
    // The kernel has taken it, but where the peer is slow. To be called back for that takes longer than all else of a write.
    if (socket.writableLength === 0 && !socket.errored && !socket.destroyed) return TAKEN;
    return this.#writeBehind(NOTHING);
  }

  /** Resolves when these bytes, and those before them, are taken. */
  #writeBehind(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#writes.add(reject);
      this.#socket.write(bytes, (error) => {
        this.#writes.delete(reject);
        if (error) reject(this.#failure ?? connectionLost(this.#endpoint, reason(error), error));
        else resolve();
      });
    });
  }

  close(): void {
    this.#inbox.close();
    this.#fail(alreadyClosed(this.#endpoint));
    // TLS says farewell in `end` only; without it the peer takes a clean close for a truncation.
    this.#socket.end().destroy();
  }

  /** The platform does not answer every write of a socket that is gone, so we do. The first failure stands. */
  #fail(failure: ConnectionError): void {
    this.#failure ??= failure;
    for (const reject of this.#writes) reject(this.#failure);
    this.#writes.clear();
  }
}

function dialReason(error: Error | undefined, { tls }: Endpoint): string {
  if (error === undefined) return tls === undefined ? REASONS.ended : REASONS.endedInHandshake;
  return tls !== undefined && codeOf(error) === "ECONNRESET" ? REASONS.endedInHandshake : reason(error);
}

const REASON_OF_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: REASONS.refused,
  ECONNRESET: REASONS.reset,
  ECONNABORTED: REASONS.ended,
  EPIPE: REASONS.ended,
  ERR_STREAM_WRITE_AFTER_END: REASONS.ended,
  ERR_STREAM_DESTROYED: REASONS.ended,
  ETIMEDOUT: REASONS.timedOut,
  EHOSTUNREACH: REASONS.unreachable,
  ENETUNREACH: REASONS.unreachable,
  ENOTFOUND: REASONS.unknownHost,
  EAI_AGAIN: REASONS.unknownHost,
  ENOENT: REASONS.noSocket,
  EACCES: REASONS.forbidden,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: REASONS.untrusted,
  UNABLE_TO_GET_ISSUER_CERT: REASONS.untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: REASONS.untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: REASONS.untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: REASONS.untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: REASONS.wrongName,
  CERT_HAS_EXPIRED: REASONS.expired,
  ERR_SSL_WRONG_VERSION_NUMBER: REASONS.notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: REASONS.notTls,
};

/** What each OpenSSL spells in its own way. */
const CODES: readonly (readonly [RegExp, string])[] = [
  [/ALERT_CERTIFICATE_REQUIRED$/, REASONS.noCertificate],
  [/ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA)$/, REASONS.badCertificate],
  [/ALERT_HANDSHAKE_FAILURE$/, REASONS.endedInHandshake],
  [/^ERR_(OSSL|BORINGSSL)/, REASONS.unusable],
];

function reason(error: unknown): string {
  const code = codeOf(error);
  const known = code !== undefined && Object.hasOwn(REASON_OF_CODE, code) ? REASON_OF_CODE[code] : undefined;
  return known ?? CODES.find(([words]) => words.test(code ?? ""))?.[1] ??
    (error instanceof Error ? error.message : String(error));
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
