/**
 * One connection's brain: bytes in; events, bytes and a deadline out.
 *
 * 1. The handshake comes first; until it is done nothing else is sent.
 * 2. A server answers commands in the order in which it got them. `#sent` holds, oldest first, every command whose
 *    answer is due, so an error reply, which names no channel, is blamed on the oldest command: each SUBSCRIBE carries
 *    one name. Acknowledgements are looked up by kind and name, wherever they stand.
 * 3. An unsubscription that the server may also do by itself (a shard channel) is followed by a PING. Until its PONG,
 *    an "unsubscribed" may be either; at the PONG all is settled.
 * 4. In RESP2 an array on a subscriber is a push; on a connection for commands it is a reply.
 * 5. Every command has a deadline, counted from when it became the oldest. keepalive.ts says how long.
 *
 * This file does not know sockets, timers or users. It throws what ends the connection; the first error is final.
 *
 * @module
 */

import { ProtocolError, ReplyError, TimeoutError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { Ring } from "../ring.ts";
import { Reader, type ReaderLimits } from "../resp/reader.ts";
import type { Reply } from "../resp/reply.ts";
import { concat, encodeCommand } from "../resp/writer.ts";
import { Handshake, type HandshakeOptions, type HandshakeProgress } from "./handshake.ts";
import { KeepAlive, type KeepAliveOptions, Patience } from "./keepalive.ts";
import { KIND_NAMES, KINDS } from "./kind.ts";
import { encodeName } from "../name.ts";
import { type Acknowledgement, PushReader, type WireMessage } from "./push.ts";
import { type Desired, Subscriptions } from "./subscriptions.ts";

/** What a session needs to know. */
export interface SessionOptions {
  readonly handshake: HandshakeOptions;
  readonly keepAlive: KeepAliveOptions | false;
  /** How long the handshake may take, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** How long any other command may take, in milliseconds. */
  readonly commandTimeoutMs: number;
  readonly limits: Partial<ReaderLimits>;
  /** What to subscribe to; a session without it is for commands. */
  readonly desired?: Desired | undefined;
}

/** What happened. */
export type SessionEvent =
  | WireMessage
  | { readonly type: "connected"; readonly protocol: 2 | 3 }
  | { readonly type: "subscribed" | "unsubscribed"; readonly kind: Kind; readonly name: string }
  | { readonly type: "revoked"; readonly kind: Kind; readonly name: string }
  | { readonly type: "denied"; readonly kind: Kind; readonly name: string; readonly error: ReplyError }
  /** Every name that was wanted when the connection opened is acknowledged or denied; or all is at rest. */
  | { readonly type: "synced" }
  | { readonly type: "reply"; readonly ticket: number; readonly reply: Reply }
  | { readonly type: "unknown-push"; readonly label: string };

/** Refusals that say "not now": the connection is of no use, a later one may be. */
const TRANSIENT_CODES: ReadonlySet<string> = new Set(["LOADING", "MASTERDOWN", "NOAUTH", "BUSY"]);

const PING = encodeCommand(["PING"]);
const QUIT = encodeCommand(["QUIT"]);
/** An ACL may forbid PING: the refusal is as good a sign of life as a PONG. */
const PING_REFUSED = /'ping'/i;
const FULL = /^ERR max number of clients/;
const SLOT_MOVED = /^(MOVED|CLUSTERDOWN) /;

/** A command whose answer is due. */
type Sent =
  & { readonly verb: string }
  & (
    | {
      readonly type: "subscribe" | "unsubscribe" | "unsubscribe-and-ping";
      readonly kind: Kind;
      readonly name: string;
    }
    | { readonly type: "command"; readonly ticket: number }
    | { readonly type: "ping" | "quit" }
  );

/** The state of one connection. */
export class Session {
  #options: SessionOptions;
  #reader: Reader;
  #pushes = new PushReader();
  #handshake: Handshake;
  /** `leaving`: it was told to quit before the handshake was done, so no answer matters but the end. */
  #state: "handshake" | "live" | "quitting" | "leaving" = "handshake";
  #protocol: 2 | 3 = 2;
  #keepAlive: KeepAlive;
  #subscriptions: Subscriptions | undefined;
  #sent = new Ring<Sent>();
  #out: Uint8Array[] = [];
  #events = new Ring<SessionEvent>();
  #nextTicket = 1;
  /** How many names of those that were wanted at the beginning have no answer; they are answered first. */
  #opening = 0;
  #lastHeard: number;
  /** With the handshake, then with the oldest command. */
  #patience: Patience;

  /** Opens at `now`; {@linkcode output} holds the first bytes to send. */
  constructor(options: SessionOptions, now: number) {
    this.#options = options;
    this.#reader = new Reader(options.limits);
    this.#handshake = new Handshake(options.handshake);
    // Until it is live, the deadline of the handshake watches over the connection.
    this.#keepAlive = new KeepAlive(false, now);
    if (options.desired !== undefined) this.#subscriptions = new Subscriptions(options.desired);
    this.#lastHeard = now;
    this.#patience = new Patience(now);
    this.#shake(this.#handshake.start());
  }

  /** When the peer was heard last. */
  get lastHeard(): number {
    return this.#lastHeard;
  }

  /** What this connection has confirmed; undefined on a connection for commands. */
  get subscriptions(): Subscriptions | undefined {
    return this.#subscriptions;
  }

  /** Takes bytes that came from the peer; {@linkcode next} tells what they mean. */
  receive(chunk: Uint8Array, now: number): void {
    this.#reader.feed(chunk);
    this.#lastHeard = now;
    this.#keepAlive.heard(now);
    this.#patience.heard(now);
  }

  /**
   * The next thing that happened; undefined when more bytes are needed. The payload of a message may be a view of a
   * buffer that {@linkcode receive} writes to: whoever keeps it copies it.
   *
   * @throws {ProtocolError} when the peer broke the protocol
   * @throws {ReplyError} when the server refused what the connection cannot do without
   */
  next(): SessionEvent | undefined {
    for (;;) {
      if (this.#events.size > 0) return this.#events.shift();
      const whole = this.#wholeMessage();
      if (whole !== undefined) return whole;
      const reply = this.#reader.next();
      if (reply === undefined) return undefined;
      const message = this.#take(reply);
      if (message !== undefined) return message;
    }
  }

  /** The short way for what comes most; all else goes the long one. */
  #wholeMessage(): WireMessage | undefined {
    if (this.#state !== "live" || this.#subscriptions === undefined) return undefined;
    const bulks = this.#reader.peek();
    if (bulks === undefined || (bulks.type === "array" && this.#protocol === 3)) return undefined;
    const message = this.#pushes.message(bulks);
    if (message !== undefined) this.#reader.skip();
    return message;
  }

  /** Is there anything for {@linkcode output} to give? */
  get hasOutput(): boolean {
    return this.#out.length > 0;
  }

  /** The bytes to send since the last call; undefined when there are none. */
  output(): Uint8Array | undefined {
    if (this.#out.length === 0) return undefined;
    const bytes = this.#out.length === 1 ? this.#out[0]! : concat(this.#out);
    this.#out = [];
    return bytes;
  }

  /** When {@linkcode tick} has to be called; `Infinity`: not before something else happens. */
  deadline(): number {
    const due = this.#isAwaiting() ? this.#patience.deadline(this.#timeoutMs()) : Infinity;
    return Math.min(due, this.#keepAlive.deadline());
  }

  /**
   * Time has passed: sends a PING when one is due.
   *
   * @throws {TimeoutError} when the peer has been silent, or a command unanswered, for too long
   */
  tick(now: number): void {
    const { keepAlive } = this.#options;
    switch (this.#keepAlive.check(now)) {
      case "ping":
        this.#send(PING, { type: "ping", verb: "PING" }, now);
        break;
      case "dead":
        throw new TimeoutError("PONG", keepAlive === false ? 0 : keepAlive.timeoutMs);
    }
    if (this.#isAwaiting() && this.#patience.isOver(now, this.#timeoutMs())) {
      throw new TimeoutError(this.#sent.at(0)?.verb ?? this.#handshake.awaiting, this.#timeoutMs());
    }
  }

  /** We stop reading: no deadline runs. */
  pause(): void {
    this.#keepAlive.pause();
    this.#patience.pause();
  }

  /** We read again: every deadline starts anew. */
  resume(now: number): void {
    this.#keepAlive.resume(now);
    this.#patience.resume(now);
  }

  /** What is wanted of this name has changed; one that was denied is asked for again. Sends nothing before the handshake is done. */
  sync(kind: Kind, name: string, now: number): void {
    this.#subscriptions?.input(kind, name, "retried");
    this.#reconcile(kind, name, now);
  }

  /** Sends a command of the user; the `reply` event with the same ticket answers it. */
  command(verb: string, bytes: Uint8Array, now: number): number {
    const ticket = this.#nextTicket++;
    this.#send(bytes, { type: "command", verb, ticket }, now);
    return ticket;
  }

  /** Asks for a sign of life; the `reply` event with the same ticket is one. */
  ping(now: number): number {
    return this.command("PING", PING, now);
  }

  /** Says goodbye: the server answers what is due, then ends the connection. */
  quit(now: number): void {
    if (this.#state === "quitting" || this.#state === "leaving") return;
    this.#send(QUIT, { type: "quit", verb: "QUIT" }, now);
    this.#state = this.#state === "live" ? "quitting" : "leaving";
  }

  #take(reply: Reply): WireMessage | undefined {
    if (this.#state === "leaving") return undefined;
    if (reply.type === "push" || (reply.type === "array" && this.#arraysArePushes())) return this.#push(reply.value);
    if (this.#state === "handshake") this.#shake(this.#handshake.reply(reply));
    else this.#reply(reply);
    return undefined;
  }

  #arraysArePushes(): boolean {
    return this.#protocol === 2 && this.#state !== "handshake" && this.#subscriptions !== undefined;
  }

  #push(items: readonly Reply[]): WireMessage | undefined {
    const event = this.#pushes.read(items);
    switch (event.type) {
      case "message":
        return event;
      case "pong":
        this.#reply({ type: "simple-string", value: "PONG" });
        break;
      case "subscribed":
        this.#subscribed(event);
        break;
      case "unsubscribed":
        this.#unsubscribed(event);
        break;
      case "unknown":
        this.#events.push({ type: "unknown-push", label: event.label });
    }
    return undefined;
  }

  #subscribed({ kind, name }: Acknowledgement): void {
    if (name === undefined || !this.#settle("subscribe", kind, name)) {
      throw new ProtocolError(`The server confirmed a ${kind} that was not asked for`);
    }
    this.#subscriptions!.input(kind, name, "confirmed");
    this.#events.push({ type: "subscribed", kind, name });
    this.#settled(kind, name);
  }

  #unsubscribed({ kind, name }: Acknowledgement): void {
    if (name === undefined) return;
    if (KINDS[kind].revocable) {
      // Whether ours or the server's own doing: while ours is on its way, the PONG behind it settles both.
      const state = this.#subscriptions?.state(kind, name);
      this.#subscriptions?.input(kind, name, "revoked");
      if (state !== "subscribed") return;
      this.#events.push({ type: "revoked", kind, name });
      this.#settled(kind, name);
      return;
    }
    if (!this.#settle("unsubscribe", kind, name)) {
      throw new ProtocolError(`The server ended a ${kind} by itself`);
    }
    this.#removed(kind, name);
  }

  #removed(kind: Kind, name: string): void {
    this.#subscriptions!.input(kind, name, "removed");
    this.#events.push({ type: "unsubscribed", kind, name });
    this.#settled(kind, name);
  }

  /** The oldest command is answered by anything but an acknowledgement. */
  #reply(reply: Reply): void {
    const text = reply.type === "simple-error" || reply.type === "bulk-error" ? reply.value : undefined;
    const sent = this.#sent.at(0);
    if (sent === undefined) {
      if (text !== undefined) throw new ReplyError(text, "The connection");
      throw new ProtocolError(`The server answered a command that was not sent: ${reply.type}`);
    }
    if (sent.type === "unsubscribe-and-ping" && text !== undefined && !PING_REFUSED.test(text)) {
      // A slot that has moved away refuses SUNSUBSCRIBE; the answer to the PING behind it is still due.
      if (SLOT_MOVED.test(text)) return;
      throw new ReplyError(text, sent.verb, { channel: sent.name });
    }
    if (sent.type === "subscribe" || sent.type === "unsubscribe") {
      if (text === undefined) throw new ProtocolError(`The server answered ${sent.verb} with: ${reply.type}`);
      const error = new ReplyError(text, sent.verb, { channel: sent.name });
      // Not to be rid of a subscription is worse than a new connection.
      if (sent.type === "unsubscribe" || TRANSIENT_CODES.has(error.code) || FULL.test(text)) throw error;
      this.#answered();
      this.#subscriptions!.input(sent.kind, sent.name, "rejected");
      this.#events.push({ type: "denied", kind: sent.kind, name: sent.name, error });
      this.#settled(sent.kind, sent.name);
      return;
    }
    this.#answered();
    if (sent.type === "unsubscribe-and-ping") this.#removed(sent.kind, sent.name);
    if (sent.type === "quit" && text !== undefined) throw new ReplyError(text, sent.verb);
    if (sent.type === "command") this.#events.push({ type: "reply", ticket: sent.ticket, reply });
  }

  /** An acknowledgement came: takes the command that it answers out of those that are due; false where there is none. */
  #settle(type: Sent["type"], kind: Kind, name: string): boolean {
    for (let i = 0; i < this.#sent.size; i++) {
      const sent = this.#sent.at(i)!;
      if (sent.type !== type || !("kind" in sent) || sent.kind !== kind || sent.name !== name) continue;
      if (i === 0) this.#answered();
      else this.#sent.removeAt(i);
      return true;
    }
    return false;
  }

  #answered(): void {
    this.#sent.shift();
    this.#patience.renew(this.#lastHeard);
  }

  /** A name came to rest: there may be more to do for it, and it may have been the last one. */
  #settled(kind: Kind, name: string): void {
    this.#patience.renew(this.#lastHeard);
    this.#reconcile(kind, name, this.#lastHeard);
    const opened = this.#opening > 0 && --this.#opening === 0;
    if (opened || this.#subscriptions!.unsettled === 0) this.#events.push({ type: "synced" });
  }

  #reconcile(kind: Kind, name: string, now: number): void {
    const action = this.#state === "live" ? this.#subscriptions?.reconcile(kind, name) : undefined;
    if (action === undefined || action === "none") return;
    const verb = KINDS[kind][action];
    const bytes = encodeCommand([verb, encodeName(name)]);
    if (action === "unsubscribe" && KINDS[kind].revocable) {
      this.#send(concat([bytes, PING]), { type: "unsubscribe-and-ping", verb, kind, name }, now);
    } else this.#send(bytes, { type: action, verb, kind, name }, now);
  }

  #shake(progress: HandshakeProgress): void {
    if (progress.type === "send") this.#out.push(...progress.commands.map((args) => encodeCommand(args)));
    if (progress.type === "done") this.#open(progress.protocol);
  }

  /** The handshake is done. */
  #open(protocol: 2 | 3): void {
    const now = this.#lastHeard;
    this.#protocol = protocol;
    this.#state = "live";
    this.#keepAlive = new KeepAlive(this.#options.keepAlive, now);
    if (this.#patience.paused) this.#keepAlive.pause();
    this.#patience.renew(now);
    this.#events.push({ type: "connected", protocol });
    const { desired } = this.#options;
    if (desired === undefined) return;
    for (const kind of KIND_NAMES) {
      for (const name of desired.names(kind)) this.#reconcile(kind, name, now);
    }
    this.#opening = this.#subscriptions!.unsettled;
    if (this.#opening === 0) this.#events.push({ type: "synced" });
  }

  #send(bytes: Uint8Array, sent: Sent, now: number): void {
    if (this.#sent.size === 0) this.#patience.renew(now);
    this.#sent.push(sent);
    this.#out.push(bytes);
  }

  #isAwaiting(): boolean {
    return this.#state === "handshake" || this.#sent.size > 0;
  }

  #timeoutMs(): number {
    return this.#state === "handshake" ? this.#options.handshakeTimeoutMs : this.#options.commandTimeoutMs;
  }
}
