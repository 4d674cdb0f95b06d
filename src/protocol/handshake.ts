/**
 * How a connection opens. HELLO 3 carries the credentials and the name of the client in one round trip. Whatever a
 * server or a proxy answers to it, other than that the credentials are wrong, means that it does not speak RESP3 with
 * us, and the connection goes on in RESP2: AUTH, CLIENT SETNAME. Nothing else may be sent before the handshake is done.
 *
 * This file does not know sockets or time; it is told replies and says what to send.
 * Source: https://redis.io/docs/latest/commands/hello/
 *
 * @module
 */

import { ProtocolError, ReplyError } from "../errors.ts";
import { decodeName } from "../name.ts";
import type { Reply } from "../resp/reply.ts";
import type { Argument } from "../resp/writer.ts";

/** What a connection says of itself when it opens. */
export interface HandshakeOptions {
  /** `"auto"`: RESP3, else RESP2; 3: RESP3 or an error; 2: RESP2 with no attempt at RESP3. */
  readonly protocol: "auto" | 2 | 3;
  /** The user; where there is only a password, the user `default`. */
  readonly username?: string | undefined;
  /** The password; without it no AUTH is sent. */
  readonly password?: string | undefined;
  /** What CLIENT LIST shows. */
  readonly clientName?: string | undefined;
  /** The database to SELECT; 0 needs no command. */
  readonly database: number;
}

/** Who we are. */
type Identity = Pick<HandshakeOptions, "username" | "password">;

/** The command that proves who we are; undefined without a password. */
export function authentication({ username, password }: Identity): readonly ["AUTH", ...Argument[]] | undefined {
  if (password === undefined) return undefined;
  return username === undefined ? ["AUTH", password] : ["AUTH", username, password];
}

/** The same text without the credentials: a server may echo what it was sent. */
export function withoutCredentials(text: string, { username, password }: Identity): string {
  return [password, username].reduce<string>(
    (rest, secret) => secret === undefined || secret.length < 3 ? rest : rest.replaceAll(secret, "***"),
    text,
  );
}

/** One command of the handshake, and what a refusal of it means. */
interface Step {
  readonly verb: string;
  readonly args: readonly Argument[];
  /** `fallback`: go on in RESP2. `fatal`: the connection fails. `harmless`: go on. */
  readonly refusal: "fallback" | "fatal" | "harmless";
}

/** What to do after a reply. */
export type HandshakeProgress =
  | { readonly type: "send"; readonly commands: readonly (readonly Argument[])[] }
  | { readonly type: "wait" }
  | { readonly type: "done"; readonly protocol: 2 | 3 };

/** Codes with which servers refuse credentials. */
const AUTHENTICATION_CODES: ReadonlySet<string> = new Set(["WRONGPASS", "NOAUTH", "DENIED"]);
const NOT_NOW = /^(LOADING|MASTERDOWN|NOAUTH|BUSY)(\s|$)/;
const FULL = /^ERR max number of clients/i;
/** Texts, all of code ERR, that are about credentials (Redis 5 and 6), not about HELLO. */
const FATAL_TEXTS: readonly RegExp[] = [
  /^ERR invalid password/i,
  /^ERR .*\bwithout any password configured\b/i,
  /^ERR Client sent AUTH, but no password is set/i,
];

/** Is this refusal about who we are? Then no other way of asking will help. */
export function isAuthenticationError(error: unknown): boolean {
  return error instanceof ReplyError && (AUTHENTICATION_CODES.has(error.code) || error.verb === "AUTH");
}

/** Does a server that says this to a command mean "not now": is this connection of no use, while a later one may be? */
export function isTransient(refusal: string): boolean {
  return NOT_NOW.test(refusal) || FULL.test(refusal);
}

/** One opening of one connection. */
export class Handshake {
  #options: HandshakeOptions;
  #protocol: 2 | 3 = 2;
  /** Sent, not answered yet, oldest first. */
  #steps: Step[] = [];

  /** Makes the machine; {@linkcode start} gives the first commands. */
  constructor(options: HandshakeOptions) {
    this.#options = options;
  }

  /** The command whose answer is awaited, for the text of a deadline. */
  get awaiting(): string {
    return this.#steps[0]?.verb ?? "HELLO";
  }

  /** What to do first. */
  start(): HandshakeProgress {
    return this.#options.protocol === 2 ? this.#send(this.#resp2Steps()) : this.#send([this.#hello()]);
  }

  /**
   * Takes the answer to the oldest command.
   *
   * @throws {ReplyError} when the server refused what we cannot do without
   * @throws {ProtocolError} when it answered nonsense
   */
  reply(reply: Reply): HandshakeProgress {
    const step = this.#steps.shift();
    if (step === undefined) throw new ProtocolError("The server answered a handshake that was over");
    if (reply.type !== "simple-error" && reply.type !== "bulk-error") {
      if (step.refusal !== "fallback" && step.verb !== "HELLO") return this.#next();
      if (reply.type !== "map" && reply.type !== "array") {
        throw new ProtocolError(`The server answered HELLO with neither a map nor an array: ${reply.type}`);
      }
      this.#protocol = protocolOf(reply.type === "map" ? reply.value.flat() : reply.value);
      if (this.#options.protocol === 3 && this.#protocol === 2) {
        throw new ProtocolError("The server answered HELLO 3 in RESP2");
      }
      return this.#send(this.#selectSteps());
    }
    if (step.refusal === "harmless") return this.#next();
    const error = new ReplyError(withoutCredentials(reply.value, this.#options), step.verb);
    // A server that is not ready has said nothing of RESP3.
    const fatal = step.refusal === "fatal" || isAuthenticationError(error) || isTransient(reply.value) ||
      FATAL_TEXTS.some((text) => text.test(reply.value));
    if (fatal) throw error;
    return this.#send(this.#resp2Steps());
  }

  #next(): HandshakeProgress {
    return this.#steps.length === 0 ? { type: "done", protocol: this.#protocol } : { type: "wait" };
  }

  #send(steps: readonly Step[]): HandshakeProgress {
    if (steps.length === 0) return this.#next();
    this.#steps.push(...steps);
    return { type: "send", commands: steps.map((step) => step.args) };
  }

  #hello(): Step {
    const { username, password, clientName, protocol } = this.#options;
    const args: Argument[] = ["HELLO", 3];
    if (password !== undefined) args.push("AUTH", username ?? "default", password);
    if (clientName !== undefined) args.push("SETNAME", clientName);
    return { verb: "HELLO", args, refusal: protocol === 3 ? "fatal" : "fallback" };
  }

  #resp2Steps(): Step[] {
    const { clientName } = this.#options;
    const steps: Step[] = [];
    const args = authentication(this.#options);
    if (args !== undefined) steps.push({ verb: "AUTH", args, refusal: "fatal" });
    // An ACL may forbid CLIENT; a connection without its name is better than none.
    if (clientName !== undefined) {
      steps.push({ verb: "CLIENT SETNAME", args: ["CLIENT", "SETNAME", clientName], refusal: "harmless" });
    }
    return [...steps, ...this.#selectSteps()];
  }

  #selectSteps(): Step[] {
    const { database } = this.#options;
    return database === 0 ? [] : [{ verb: "SELECT", args: ["SELECT", database], refusal: "fatal" }];
  }
}

/** What the server says that it speaks from now on: a proxy may let HELLO pass and go on in RESP2. */
function protocolOf(fields: readonly Reply[]): 2 | 3 {
  const key = fields.findIndex((field) => field.type === "bulk-string" && decodeName(field.value) === "proto");
  return key >= 0 && fields[key + 1]?.value === 2 ? 2 : 3;
}
