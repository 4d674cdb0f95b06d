/**
 * Command traffic: one connection of its own, opened on first use, and again when it is lost. The commands of one turn
 * go out in one write. A command that was on its way when the connection broke is never sent again: the server may
 * have executed it.
 *
 * @module
 */

import { ConnectionError, RedisError, ReplyError } from "../errors.ts";
import { type CallOptions, checkCall, within } from "../connection/wait.ts";
import type { Connection } from "../connection/connection.ts";
import { type LinkOptions, openConnection } from "../connection/link.ts";
import { type MoveTarget, Upkeep } from "../connection/upkeep.ts";
import type { Endpoint } from "../endpoint.ts";
import { decodeName } from "../name.ts";
import { KIND_NAMES, KINDS } from "../protocol/kind.ts";
import type { SessionEvent } from "../protocol/push.ts";
import type { Reply } from "../resp/reply.ts";
import { type Argument, encodeCommand } from "../resp/writer.ts";
import type { Topology } from "../topology/topology.ts";

/** Commands that take a connection out of request and reply, and what to use instead. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ...KIND_NAMES.flatMap((kind) => [
    [KINDS[kind].subscribe, "use subscribe, psubscribe or ssubscribe"] as const,
    [KINDS[kind].unsubscribe, "use the methods of PubSub"] as const,
  ]),
  ["HELLO", "use the options protocol, username and password"],
  ["MONITOR", "it never stops answering"],
  ["SYNC", "it never stops answering"],
  ["PSYNC", "it never stops answering"],
  ["QUIT", "use close"],
  ["RESET", "it would undo the handshake"],
  ["CLIENT REPLY", "an answer is awaited for every command"],
]);

/** Commands of which only some subcommands are refused. */
const CONTAINERS: ReadonlySet<string> = new Set(
  [...REFUSED.keys()].filter((name) => name.includes(" ")).map((name) => name.split(" ")[0]!),
);

/** Commands whose refusals repeat what they were given, which may be a credential. */
const SECRETIVE: ReadonlySet<string> = new Set(["ACL", "AUTH", "CONFIG", "MIGRATE"]);

interface Call {
  readonly verb: string;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: RedisError) => void;
}

/** A connection that is through its handshake. */
interface Open {
  readonly connection: Connection;
  readonly protocol: 2 | 3;
  readonly endpoint: Endpoint;
}

/** What the command connection needs besides. */
export interface CommandsOptions {
  readonly closeTimeoutMs: number;
  /** Hears why new credentials, or a move, failed; it is tried again. */
  readonly failed: (error: RedisError) => void;
}

/** The command connection of one client. */
export class Commands {
  #link: LinkOptions;
  #topology: Topology;
  #closeTimeoutMs: number;
  /** `moving`: another connection takes over as soon as this one has answered everything. */
  #state: "idle" | "connecting" | "live" | "moving" | "closed" = "idle";
  #connection: Connection | undefined;
  #next: Open | undefined;
  #upkeep: Upkeep | undefined;
  #failed: (error: RedisError) => void;
  /** Not sent yet, and what is to be sent. */
  #unsent = new Map<Call, Uint8Array>();
  /** Sent, by ticket. */
  #sent = new Map<number, Call>();
  #lifetime = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** Opens nothing until the first command. */
  constructor(link: LinkOptions, topology: Topology, { closeTimeoutMs, failed }: CommandsOptions) {
    this.#failed = failed;
    this.#link = link;
    this.#topology = topology;
    this.#closeTimeoutMs = closeTimeoutMs;
  }

  /**
   * Sends one command and gives its answer.
   *
   * @throws {ReplyError} when the server refuses it
   * @throws {ConnectionError} when the server cannot be reached, or the connection breaks before the answer
   * @throws {TypeError} when it is a command that has no one answer
   */
  send(args: readonly Argument[], options: CallOptions): Promise<Reply> {
    try {
      const verb = verbOf(args);
      checkCall(options);
      options.signal?.throwIfAborted();
      if (this.#state === "closed") throw new ConnectionError(`Cannot send ${verb}: the client is closed`);
      let call: Call | undefined;
      const answered = new Promise<Reply>((resolve, reject) => call = { verb, resolve, reject });
      this.#dispatch(call!, args);
      if (options.signal === undefined && options.timeoutMs === undefined) return answered;
      // Given up before it was sent: then it must not be sent any more.
      return within(answered, verb, options, this.#link.clock).finally(() => this.#unsent.delete(call!));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Answers what is due, then closes. Idempotent, never rejects. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#state = "closed";
    this.#upkeep?.stop();
    this.#lifetime.abort(new ConnectionError("Gave up connecting: the client was closed"));
    await this.#connection?.quit(this.#closeTimeoutMs);
    await this.#loop;
  }

  #dispatch(call: Call, command: readonly Argument[] | Uint8Array): void {
    const connection = this.#connection;
    // One that has ended answers nothing: who comes in the very moment shares its fate, see #end.
    if (this.#state === "live" && !connection!.hasEnded) {
      this.#sent.set(connection!.command(call.verb, command), call);
      return;
    }
    // Encoded now: the bytes among its arguments are the caller's again as soon as this returns.
    this.#unsent.set(call, command instanceof Uint8Array ? command : encodeCommand(command));
    if (this.#state !== "idle") return;
    this.#state = "connecting";
    this.#loop = this.#run();
  }

  /** One connection after the other, as long as there is one to take over. */
  async #run(): Promise<void> {
    try {
      const endpoint = await this.#topology.locate();
      const connection = await openConnection(endpoint, this.#link, {
        signal: this.#lifetime.signal,
        onEvent: (event) => this.#hear(event, endpoint),
      });
      // Closed in the very turn in which the socket opened.
      if (this.#state === "closed") connection.abort(new ConnectionError("Gave up connecting: the client was closed"));
      else this.#connection = connection;
      connection.start();
      await this.#follow(connection);
    } catch (error) {
      this.#end(
        error instanceof RedisError ? error : new ConnectionError("Cannot find the endpoint", { cause: error }),
      );
    }
  }

  /** There is no connection any more: the next command makes one. */
  #end(cause: RedisError): void {
    this.#connection = undefined;
    if (this.#state !== "closed") this.#state = "idle";
    for (const call of this.#unsent.keys()) call.reject(cause);
    this.#unsent.clear();
  }

  /** Goes from connection to connection. */
  async #follow(connection: Connection): Promise<void> {
    for (;;) {
      const cause = await connection.ended;
      this.#upkeep?.stop();
      const sent = [...this.#sent.values()];
      this.#sent.clear();
      for (const { verb, reject } of sent) {
        const why = "the connection was lost before the answer, so whether it was executed is not known";
        reject(new ConnectionError(`${verb} failed: ${why}`, { cause }));
      }
      const next = this.#next;
      this.#next = undefined;
      if (next === undefined) return this.#end(cause);
      this.#connection = connection = next.connection;
      if (this.#state === "closed") connection.abort(new ConnectionError("The client was closed"));
      else this.#open(next);
    }
  }

  /**
   * Another connection takes over, once it is through its handshake and the old one has answered everything: what was sent
   * first is executed first. Gives what went wrong.
   */
  async #move(from: Endpoint, { endpoint = from, credentials }: MoveTarget): Promise<RedisError | undefined> {
    const link = credentials === undefined
      ? this.#link
      : { ...this.#link, credentials: () => Promise.resolve(credentials) };
    let connected: (protocol: 2 | 3) => void = () => {};
    try {
      const connection: Connection = await openConnection(endpoint, link, {
        signal: this.#lifetime.signal,
        onEvent: (event) => {
          if (connection === this.#connection) this.#hear(event, endpoint);
          else if (event.type === "connected") connected(event.protocol);
        },
      });
      return await new Promise((resolve) => {
        connected = (protocol) => {
          resolve(undefined);
          // Closed, lost, or moved elsewhere meanwhile.
          if (this.#state !== "live") return connection.abort(new ConnectionError("It is not needed any more"));
          this.#state = "moving";
          this.#next = { connection, protocol, endpoint };
          void this.#connection!.quit(this.#link.commandTimeoutMs);
        };
        void connection.ended.then(resolve);
        connection.start();
      });
    } catch (error) {
      return error instanceof RedisError ? error : new ConnectionError("Cannot move", { cause: error });
    }
  }

  /** The connection is through its handshake: sends what waits. */
  #open({ connection, protocol, endpoint }: Open): void {
    this.#state = "live";
    this.#upkeep = new Upkeep(connection, {
      link: this.#link,
      protocol,
      role: "commands",
      endpoint,
      move: (to) => this.#move(endpoint, to),
      failed: this.#failed,
    });
    const calls = [...this.#unsent];
    this.#unsent.clear();
    for (const [call, command] of calls) this.#dispatch(call, command);
  }

  #hear(event: SessionEvent, endpoint: Endpoint): void {
    if (event.type === "connected" && this.#state === "connecting") {
      this.#open({ connection: this.#connection!, protocol: event.protocol, endpoint });
    }
    if (event.type === "moving") this.#upkeep?.moving(event);
    if (event.type !== "reply") return;
    const call = this.#sent.get(event.ticket);
    this.#sent.delete(event.ticket);
    if (call === undefined) return;
    const { reply } = event;
    if (reply.type === "simple-error" || reply.type === "bulk-error") {
      const [code = "ERR"] = reply.value.split(" ");
      const told = SECRETIVE.has(call.verb) ? `${code} (its words may hold a credential)` : reply.value;
      call.reject(new ReplyError(told, call.verb));
    } else call.resolve(reply);
  }
}

function verbOf(args: readonly Argument[]): string {
  const [first, second] = args;
  const verb = typeof first === "string" ? first.toUpperCase() : "";
  if (verb === "") {
    throw new TypeError("A command must start with its name, a string that is not empty");
  }
  const refused = CONTAINERS.has(verb) && second !== undefined ? `${verb} ${wordOf(second)}` : verb;
  const instead = REFUSED.get(refused);
  if (instead !== undefined) throw new TypeError(`Cannot send ${refused} as a command: ${instead}`);
  return verb;
}

function wordOf(arg: Argument): string {
  return (arg instanceof Uint8Array ? decodeName(arg) : String(arg)).toUpperCase();
}
