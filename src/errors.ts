/**
 * Every class that a user may catch. No text of an error ever holds a credential or a payload.
 *
 * @module
 */

/** Options that every error of this library takes. */
export interface RedisErrorOptions {
  /** What led to this error. */
  cause?: unknown;
}

/**
 * The base of every error that this library throws by itself. Misuse throws the built-in `TypeError` or `RangeError`,
 * and an aborted call rejects with the reason of its own signal.
 *
 * @example
 * ```ts
 * import { Client, RedisError } from "@earshot/redis";
 *
 * const redis = new Client("redis://localhost:1");
 * await redis.publish("news", "hello").catch((error: unknown) => {
 *   if (!(error instanceof RedisError)) throw error;
 * });
 * await redis.close();
 * ```
 */
export class RedisError extends Error {
  /** The name of the class, also after minification. */
  override readonly name: string = "RedisError";
}

/** Options of a {@linkcode ConnectionError}. */
export interface ConnectionErrorOptions extends RedisErrorOptions {
  /** Where the connection went, as `host:port` or `unix:path`; never with credentials. */
  endpoint?: string | undefined;
}

/** The connection could not be made, or it was lost. */
export class ConnectionError extends RedisError {
  /** The name of the class, also after minification. */
  override readonly name: string = "ConnectionError";
  /** Where the connection went, as `host:port` or `unix:path`. */
  readonly endpoint: string | undefined;

  /** Makes the error; `options.endpoint` says where the connection went. */
  constructor(message: string, options: ConnectionErrorOptions = {}) {
    super(message, options);
    this.endpoint = options.endpoint;
  }
}

/** A deadline passed. */
export class TimeoutError extends RedisError {
  /** The name of the class, also after minification. */
  override readonly name: string = "TimeoutError";
  /** What was waited for, such as `"PONG"` or `"SUBSCRIBE"`. */
  readonly what: string;
  /** How long it was waited for, in milliseconds. */
  readonly ms: number;

  /** Makes the error: `what` was waited for, during `ms` milliseconds. */
  constructor(what: string, ms: number, options: RedisErrorOptions = {}) {
    super(`No answer within ${ms} ms: ${what}`, options);
    this.what = what;
    this.ms = ms;
  }
}

/** The peer broke the RESP protocol. The connection is dropped and made anew. */
export class ProtocolError extends RedisError {
  /** The name of the class, also after minification. */
  override readonly name: string = "ProtocolError";
  /** Position of the offending byte, counted from the first byte of the connection. */
  readonly offset: number;
  /** The offending bytes of a header, escaped, at most 16; never a payload. */
  readonly excerpt: string;

  /** Makes the error; `at` tells where in the byte stream it stands and shows the offending bytes. */
  constructor(message: string, at: { offset: number; excerpt: string } = { offset: 0, excerpt: "" }) {
    super(at.excerpt === "" ? message : `${message}: "${at.excerpt}" at byte ${at.offset}`);
    this.offset = at.offset;
    this.excerpt = at.excerpt;
  }
}

/** Options of a {@linkcode ReplyError}. */
export interface ReplyErrorOptions extends RedisErrorOptions {
  /** The channel or pattern that was refused, where the command named one. */
  channel?: string | undefined;
}

/** The server said no. */
export class ReplyError extends RedisError {
  /** The name of the class, also after minification. */
  override readonly name: string = "ReplyError";
  /** The first word of the server's answer, such as `NOPERM`, `WRONGPASS` or `MOVED`; `ERR` where it has none. */
  readonly code: string;
  /** The command that was refused, such as `SUBSCRIBE`. */
  readonly verb: string;
  /** The channel or pattern that was refused, where the command named one. */
  readonly channel: string | undefined;

  /** Makes the error from the server's own `text` and the `verb` that it answers. */
  constructor(text: string, verb: string, options: ReplyErrorOptions = {}) {
    const about = options.channel === undefined ? "" : ` of ${JSON.stringify(options.channel)}`;
    super(`${verb}${about} was refused: ${withoutArguments(text)}`, options);
    this.code = /^[A-Z][A-Z0-9_]*(?=\s|$)/.exec(text)?.[0] ?? "ERR";
    this.verb = verb;
    this.channel = options.channel;
  }
}

/** A stream's queue was full, and its overflow policy says to end it. */
export class OverflowError extends RedisError {
  /** The name of the class, also after minification. */
  override readonly name: string = "OverflowError";
}

/** Options of a {@linkcode DecodeError}. */
export interface DecodeErrorOptions extends RedisErrorOptions {
  /** The channel on which the payload came. */
  channel: string;
}

/** A codec could not decode a payload. */
export class DecodeError extends RedisError {
  /** The name of the class, also after minification. */
  override readonly name: string = "DecodeError";
  /** The channel on which the payload came. */
  readonly channel: string;

  /** Makes the error; `options.cause` is what the codec threw. */
  constructor(message: string, options: DecodeErrorOptions) {
    super(message, options);
    this.channel = options.channel;
  }
}

/** Servers echo the arguments of a command that they do not know: a password or a payload among them. */
function withoutArguments(text: string): string {
  return text.replace(/,? with args beginning with:.*$/s, "");
}
