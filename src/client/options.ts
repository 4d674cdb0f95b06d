/**
 * What users may set, checked and completed.
 *
 * @module
 */

import type { BackoffOptions } from "../connection/backoff.ts";
import { systemClock } from "../connection/clock.ts";
import type { Credentials, LinkOptions } from "../connection/link.ts";
import type { ReconnectOptions, SupervisorOptions } from "../supervisor/options.ts";
import { checkKeys, number, type StreamOptions, whole } from "../delivery/options.ts";
import { type Endpoint, parseUrl, type Target, type TlsOptions } from "../endpoint.ts";
import type { ClientEvent } from "../event.ts";
import type { KeepAliveOptions } from "../protocol/keepalive.ts";
import { type ReaderLimits, readerLimits } from "../resp/limits.ts";
import { dial } from "../transport/dial.ts";
import type { Dial } from "../transport/transport.ts";

/** How a {@linkcode Client} connects and behaves. Durations are in milliseconds, sizes in bytes. */
export interface ClientOptions {
  /** Where the server is, and who we are there, as in `redis://user:password@host:port/database`. Other options win over its parts. */
  url?: string | URL;
  /** Host name or address. @default {"localhost"} */
  host?: string;
  /** TCP port. @default {6379} */
  port?: number;
  /** Path of a unix socket, instead of `host` and `port`. */
  path?: string;
  /** Speak TLS: true, or with what. @default {false, and true for `rediss://` and `valkeys://`} */
  tls?: boolean | TlsOptions;
  /** The ACL user. @default {"default"} */
  username?: string;
  /** The password; without it no AUTH is sent. */
  password?: string;
  /**
   * Asked for user and password each time a connection is made, and before they expire; instead of `username` and
   * `password`. A connection that stands goes on with the new ones: it says AUTH where the protocol allows it, which is
   * everywhere but on a subscriber in RESP2. There a new connection subscribes to everything before it takes the place of the
   * old one, at a point that both see: nothing is lost, and nothing comes twice. Where the server does not allow that, what
   * may be missing is told as a gap, with the reason `migration`.
   */
  credentials?: () => Promise<Credentials>;
  /** The database that `command` works on; Pub/Sub knows no databases. @default {0} */
  database?: number;
  /** What CLIENT LIST shows; no spaces. @default {no name} */
  clientName?: string;
  /** RESP3 where the server speaks it, or one version only. @default {"auto"} */
  protocol?: "auto" | 2 | 3;
  /** How long dialling may take, and then again how long the handshake may take. @default {5000} */
  connectTimeoutMs?: number;
  /** How long the server may take to answer a command before the connection counts as broken. @default {5000} */
  commandTimeoutMs?: number;
  /** How long {@linkcode PubSub.close} waits for the server before it closes anyway. @default {2000} */
  closeTimeoutMs?: number;
  /**
   * After `idleMs` of silence a PING; when `timeoutMs` more pass with nothing heard, the connection is dead. With `canary`
   * every `idleMs` also a message is published on a private channel, by the connection for commands, and must be heard on
   * the subscriber within `timeoutMs`.
   * @default {{ idleMs: 10000, timeoutMs: 5000, canary: false }}
   */
  keepAlive?: Partial<ProofOptions> | false;
  /** How a lost connection is made anew; `false`: not at all. @default {{ initialDelayMs: 50, maxDelayMs: 5000, factor: 2, jitter: 0.2, maxAttempts: Infinity }} */
  reconnect?: Partial<ReconnectOptions> | false;
  /**
   * Ask the server, in RESP3, to tell of its maintenance (`CLIENT MAINT_NOTIFICATIONS`), as Redis Enterprise and Redis Cloud
   * do. When it moves, subscribers and commands move with it before the connection ends, as they do for
   * {@linkcode ClientOptions.credentials}. Other servers refuse the question, which harms nothing. A server that tells it
   * unasked is followed in any case. @default {false}
   */
  maintenance?: boolean;
  /** False: the first subscribe rejects when it cannot connect. True: it keeps trying. A wrong password always rejects. @default {false} */
  waitOnFirstConnect?: boolean;
  /**
   * When a name that the server refuses, though it was subscribed to before, is asked for again: on the next connection,
   * and every `retryMs`; `false` or `Infinity`: on the next connection only.
   * @default {{ retryMs: 30000 }}
   */
  denied?: Partial<DeniedOptions> | false;
  /** How large a reply may be before it counts as an attack. */
  limits?: Partial<ReaderLimits>;
  /** Opens connections: bring your own for a proxy, a tunnel or a test. @default {the sockets of the runtime} */
  dial?: Dial;
  /** Hears every event of every subscriber made from this client. An exception in it hurts nobody. */
  onEvent?: (event: ClientEvent) => void;
}

/** How a connection is proved alive. */
export interface ProofOptions extends KeepAliveOptions {
  /**
   * Prove the subscription, not only the socket, of every {@linkcode PubSub}. Users see nothing of it; the server shows
   * a channel `earshot:private:canary:…` and the PUBLISHes to it. Where its ACL refuses either, that is told as an `error`
   * event, once, and harms nobody.
   */
  readonly canary: boolean;
}

/** What becomes of a name that the server refuses. */
export interface DeniedOptions {
  /** After how long it is asked for again, in milliseconds. */
  retryMs: number;
}

/** How a {@linkcode PubSub} delivers, and what ends it. */
export interface PubSubOptions<T> extends StreamOptions<T> {
  /** Aborting it does what `cancel()` of the stream does. */
  signal?: AbortSignal;
}

/** How {@linkcode PubSub.batches} makes chunks. */
export interface BatchOptions {
  /** How many messages a chunk may hold. @default {256} */
  maxBatch?: number;
}

/** The options of a client, complete. */
export interface Settings {
  readonly endpoint: Endpoint;
  readonly link: LinkOptions;
  readonly reconnect: ReconnectOptions | false;
  readonly waitOnFirstConnect: boolean;
  readonly closeTimeoutMs: number;
  readonly canary: boolean;
  readonly publish?: SupervisorOptions["publish"];
  readonly deniedRetryMs: number;
  readonly onEvent: ((event: ClientEvent) => void) | undefined;
}

const KEEP_ALIVE: KeepAliveOptions = { idleMs: 10_000, timeoutMs: 5_000 };
const BACKOFF: BackoffOptions = { initialDelayMs: 50, maxDelayMs: 5_000, factor: 2, jitter: 0.2 };
const RECONNECT: ReconnectOptions = { ...BACKOFF, maxAttempts: Infinity };

/** Every option there is, and what `typeof` says of it: a misspelt one must not pass as a default. */
const KNOWN: Readonly<Record<keyof ClientOptions, readonly string[]>> = {
  url: ["string", "object"],
  host: ["string"],
  port: ["number"],
  path: ["string"],
  tls: ["boolean", "object"],
  username: ["string"],
  password: ["string"],
  credentials: ["function"],
  database: ["number"],
  clientName: ["string"],
  protocol: ["string", "number"],
  connectTimeoutMs: ["number"],
  commandTimeoutMs: ["number"],
  closeTimeoutMs: ["number"],
  keepAlive: ["boolean", "object"],
  reconnect: ["boolean", "object"],
  maintenance: ["boolean"],
  waitOnFirstConnect: ["boolean"],
  denied: ["boolean", "object"],
  limits: ["object"],
  dial: ["function"],
  onEvent: ["function"],
};

const TLS: Readonly<Record<keyof TlsOptions, string>> = {
  caCerts: "an array of strings",
  cert: "a string",
  key: "a string",
  serverName: "a string",
};

/**
 * Completes the options of a client.
 *
 * @throws {TypeError} when an option is unknown, of the wrong type, or contradicts another one
 * @throws {RangeError} when a number is out of range
 */
export function resolveOptions(target?: string | URL | ClientOptions, more: ClientOptions = {}): Settings {
  const isUrl = typeof target === "string" || target instanceof URL;
  if (target !== undefined && !isUrl && (typeof target !== "object" || target === null)) {
    throw new TypeError(`A client takes a URL or options: ${target === null ? "null" : typeof target}`);
  }
  const options: ClientOptions = isUrl ? more : { ...target, ...more };
  checkKeys("Client", options, KNOWN);
  checkTypes(options);
  if (isUrl && options.url !== undefined) {
    throw new TypeError("The URL must be given once, as the target or as an option");
  }
  const url = isUrl ? target : options.url;
  const from: Target | undefined = url === undefined ? undefined : parseUrl(url);
  const { protocol = "auto", clientName, onEvent, waitOnFirstConnect = false } = options;
  if (protocol !== "auto" && protocol !== 2 && protocol !== 3) {
    throw new RangeError(`protocol must be "auto", 2 or 3: ${JSON.stringify(protocol)}`);
  }
  if (clientName !== undefined && !/^[!-~]+$/.test(clientName)) {
    throw new TypeError(`clientName must hold printable ASCII with no space: ${JSON.stringify(clientName)}`);
  }
  return {
    endpoint: endpointOf(options, from),
    link: {
      dial: options.dial ?? dial,
      credentials: credentialsOf(options, from),
      handshake: { protocol, clientName, database: whole("database", options.database ?? from?.database ?? 0, 0) },
      keepAlive: options.keepAlive === false ? false : resolveKeepAlive(options.keepAlive),
      connectTimeoutMs: number("connectTimeoutMs", options.connectTimeoutMs ?? 5_000, 1),
      commandTimeoutMs: number("commandTimeoutMs", options.commandTimeoutMs ?? 5_000, 1),
      limits: resolveLimits(options.limits),
      maintenance: options.maintenance ?? false,
      clock: systemClock,
    },
    reconnect: options.reconnect === false ? false : resolveReconnect(options.reconnect),
    waitOnFirstConnect,
    closeTimeoutMs: number("closeTimeoutMs", options.closeTimeoutMs ?? 2_000, 0),
    canary: wantsCanary(options.keepAlive),
    deniedRetryMs: options.denied === false ? Infinity : resolveDenied(options.denied),
    onEvent,
  };
}

function resolveDenied(options: Partial<DeniedOptions> = {}): number {
  checkKeys("denied", options, { retryMs: 1 });
  const { retryMs = 30_000 } = options;
  return retryMs === Infinity ? Infinity : number("denied.retryMs", retryMs, 1);
}

function resolveKeepAlive(options: Partial<ProofOptions> = {}): KeepAliveOptions {
  checkKeys("keepAlive", options, { ...KEEP_ALIVE, canary: false });
  return {
    idleMs: number("keepAlive.idleMs", options.idleMs ?? KEEP_ALIVE.idleMs, 1),
    timeoutMs: number("keepAlive.timeoutMs", options.timeoutMs ?? KEEP_ALIVE.timeoutMs, 1),
  };
}

function wantsCanary(keepAlive: ClientOptions["keepAlive"]): boolean {
  const { canary = false } = typeof keepAlive === "object" ? keepAlive : {};
  if (typeof canary !== "boolean") throw new TypeError(`keepAlive.canary must be a boolean: ${typeof canary}`);
  return canary;
}

function resolveLimits(options: Partial<ReaderLimits> = {}): ReaderLimits {
  const limits = readerLimits(options);
  checkKeys("limits", options, limits);
  return limits;
}

function resolveReconnect(options: Partial<ReconnectOptions> = {}): ReconnectOptions {
  checkKeys("reconnect", options, RECONNECT);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { initialDelayMs, maxDelayMs, factor, jitter, maxAttempts } = { ...RECONNECT, ...given };
  return {
    initialDelayMs: number("reconnect.initialDelayMs", initialDelayMs, 1),
    maxDelayMs: number("reconnect.maxDelayMs", maxDelayMs, 1),
    factor: number("reconnect.factor", factor, 1),
    jitter: number("reconnect.jitter", jitter, 0, 1),
    maxAttempts: maxAttempts === Infinity ? Infinity : whole("reconnect.maxAttempts", maxAttempts, 0),
  };
}

function endpointOf(options: ClientOptions, from: Target | undefined): Endpoint {
  const { host, port, path, tls } = options;
  if (path !== undefined && (host !== undefined || port !== undefined)) {
    throw new TypeError("path must not be combined with host or port: a unix socket has neither");
  }
  if (host !== undefined && /[/@\s]/.test(host)) {
    throw new TypeError("host must be a name or an address, and nothing else: give a URL as url");
  }
  const base = from?.endpoint;
  const speaksTls = tls === undefined ? base?.tls !== undefined : tls !== false;
  if (tls === false && base?.tls !== undefined) {
    throw new TypeError("tls must not be false with a URL that asks for TLS");
  }
  const tlsOptions = { ...base?.tls, ...(typeof tls === "object" ? checkTls(tls) : {}) };
  if ((tlsOptions.cert === undefined) !== (tlsOptions.key === undefined)) {
    throw new TypeError("tls.cert and tls.key must be given together");
  }
  return {
    host: host ?? base?.host ?? "localhost",
    port: whole("port", port ?? base?.port ?? 6379, 1, 65_535),
    path: path ?? (host === undefined && port === undefined ? base?.path : undefined),
    tls: speaksTls ? tlsOptions : undefined,
  };
}

function checkTls(tls: TlsOptions): TlsOptions {
  checkKeys("tls", tls, TLS);
  for (const [key, value] of Object.entries(tls)) {
    const fits = key === "caCerts"
      ? Array.isArray(value) && value.every((item) => typeof item === "string")
      : typeof value === "string";
    if (value !== undefined && !fits) throw new TypeError(`tls.${key} must be ${TLS[key as keyof TlsOptions]}`);
  }
  return tls;
}

function credentialsOf(options: ClientOptions, from: Target | undefined): () => Promise<Credentials> {
  const username = options.username ?? from?.username;
  const password = options.password ?? from?.password;
  if (options.credentials !== undefined) {
    if (username !== undefined || password !== undefined) {
      throw new TypeError("credentials must not be combined with username or password");
    }
    const { credentials } = options;
    return async () => checkCredentials(await credentials());
  }
  const credentials = checkCredentials({ username, password });
  return () => Promise.resolve(credentials);
}

/** Only what is asked for: a row of a store of secrets may have more. */
function checkCredentials({ username, password, expiresAt }: Credentials): Credentials {
  if (username !== undefined && password === undefined) {
    throw new TypeError('username needs a password: for an ACL user with "nopass" give any');
  }
  return expiresAt === undefined ? { username, password } : { username, password, expiresAt };
}

/** The values are not told: one of them may be a password in the wrong place. */
function checkTypes(options: ClientOptions): void {
  for (const [key, value] of Object.entries(options)) {
    const types = KNOWN[key as keyof ClientOptions];
    const type = value === null ? "null" : typeof value;
    if (value !== undefined && !types.includes(type)) {
      throw new TypeError(`${key} must be a ${types.join(" or ")}: ${type}`);
    }
  }
}
