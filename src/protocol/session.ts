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
 * This file knows no sockets, timers or users. It throws what ends the connection; the first error is final.
 *
 * @module
 */

import { ProtocolError, ReplyError, TimeoutError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { Ring } from "../ring.ts";
import { Reader, type ReaderLimits } from "../resp/reader.ts";
import type { Reply } from "../resp/reply.ts";
import { type Argument, CommandBuffer } from "../resp/writer.ts";
import { Handshake, type HandshakeOptions, type HandshakeProgress, isTransient } from "./handshake.ts";
import { KeepAlive, type KeepAliveOptions, Patience } from "./keepalive.ts";
import { KIND_NAMES, KINDS } from "./kind.ts";
import { nameArgument } from "../name.ts";
import { type Acknowledgement, type Moving, PushReader } from "./push.ts";
import { Run } from "../run/run.ts";
import { Scanner } from "../run/scanner.ts";
import { Topic } from "../run/topics.ts";
import { type Desired, Subscriptions } from "./subscriptions.ts";

/** What a session needs to know. */
export interface SessionOptions {
  readonly handshake: HandshakeOptions;
  readonly keepAlive: KeepAliveOptions | false;
  /** How long the handshake may take, and any other command, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly limits: Partial<ReaderLimits>;
  /** What to subscribe to; a session without it is for commands. */
  readonly desired?: Desired | undefined;
}

/** What happened. */
export type SessionEvent =
  /** Messages came: whoever takes one counts it in `taken`. What is not taken is told again by the next call. */
  | Run
  | { readonly type: "connected"; readonly protocol: 2 | 3 }
  | { readonly type: "subscribed" | "unsubscribed"; readonly kind: Kind; readonly name: string }
  | { readonly type: "revoked"; readonly kind: Kind; readonly name: string }
  | { readonly type: "denied"; readonly kind: Kind; readonly name: string; readonly error: ReplyError }
  /** Every name that was wanted when the connection opened is acknowledged or denied; or all is at rest. */
  | { readonly type: "synced" }
  | { readonly type: "reply"; readonly ticket: number; readonly reply: Reply }
  | Moving
  | { readonly type: "unknown-push"; readonly label: string };

const PING = ["PING"];
const QUIT = ["QUIT"];
/** An ACL may forbid PING: the refusal is as good a sign of life as a PONG. */
const PING_REFUSED = /'ping'/i;
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
  #run = new Run();
  /** Once the protocol is known, where there is anything to subscribe to. */
  #scanner: Scanner | undefined;
  #handshake: Handshake;
  /** `leaving`: it was told to quit before the handshake was done, so no answer matters but the end. */
  #state: "handshake" | "live" | "quitting" | "leaving" = "handshake";
  #protocol: 2 | 3 = 2;
  #keepAlive: KeepAlive;
  #subscriptions: Subscriptions | undefined;
  #sent = new Ring<Sent>();
  #out = new CommandBuffer();
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

  /** Where the next bytes may be read to; {@linkcode receive} is given what has been filled of it. */
  room(): Uint8Array<ArrayBuffer> {
    return this.#reader.room();
  }

  /** Takes bytes that came from the peer; {@linkcode next} tells what they mean. */
  receive(chunk: Uint8Array, now: number): void {
    this.#reader.feed(chunk, now - this.#lastHeard);
    this.#lastHeard = now;
    this.#keepAlive.heard(now);
    this.#patience.heard(now);
  }

  /**
   * The next thing that happened; undefined when more bytes are needed. Messages must be taken before anything else is
   * received, since their bytes are written to again.
   *
   * @throws {ProtocolError} when the peer broke the protocol
   * @throws {ReplyError} when the server refused what the connection cannot do without
   */
  next(): SessionEvent | undefined {
    const run = this.#run;
    for (;;) {
      if (run.taken < run.count) return run;
      if (this.#events.size > 0) return this.#events.shift();
      const found = this.#state === "leaving" ? "nothing" : this.#scanner?.scan(this.#reader, run);
      if (found === "messages") continue;
      const reply = found === "a part of one" ? undefined : this.#reader.next();
      if (reply === undefined) return run.clear();
      this.#take(reply);
    }
  }

  /** Is there any {@linkcode output}? */
  get hasOutput(): boolean {
    return this.#out.length > 0;
  }

  /** The bytes to send since the last call; undefined when there are none. */
  output(): Uint8Array | undefined {
    return this.#out.take();
  }

  /** When {@linkcode tick} has to be called; `Infinity`: not before something else happens. */
  deadline(): number {
    return Math.min(this.#patience.deadline(this.#timeoutMs()), this.#keepAlive.deadline());
  }

  /**
   * Time has passed, or it jumped since the machine slept: sends a PING when one is due.
   *
   * @throws {TimeoutError} when the peer has been silent, or a command unanswered, for too long
   */
  tick(now: number, time: "passed" | "jumped" = "passed"): void {
    if (time === "jumped") this.#patience.wake(now);
    switch (time === "jumped" ? this.#keepAlive.wake(now) : this.#keepAlive.check(now)) {
      case "ping":
        this.#send(PING, { type: "ping", verb: "PING" }, now);
        break;
      case "dead":
        throw new TimeoutError("PONG", this.#keepAlive.timeoutMs);
    }
    if (this.#patience.isOver(now, this.#timeoutMs())) {
      throw new TimeoutError(this.#sent.at(0)?.verb ?? this.#handshake.awaiting, this.#timeoutMs());
    }
  }

  /** We stop reading, also in the middle of what has been read: no deadline runs. */
  pause(): void {
    this.#run.state = "halted";
    this.#keepAlive.pause();
    this.#patience.pause();
  }

  /** We read again: every deadline starts anew. */
  resume(now: number): void {
    this.#run.state = "flowing";
    this.#keepAlive.resume(now);
    this.#patience.resume(now);
  }

  /** What is wanted of this name has changed; one that was denied is asked for again. Sends nothing before the handshake is done. */
  sync(kind: Kind, name: string, now: number): void {
    this.#subscriptions?.input(kind, name, "retried");
    this.#reconcile(kind, name, now);
  }

  /** Sends a command of the user; the `reply` event with the same ticket answers it. */
  command(verb: string, command: readonly Argument[] | Uint8Array, now: number): number {
    const ticket = this.#nextTicket++;
    this.#send(command, { type: "command", verb, ticket }, now);
    return ticket;
  }

  /** Says goodbye: the server answers what is due, then ends the connection. */
  quit(now: number): void {
    if (this.#state === "quitting" || this.#state === "leaving") return;
    this.#send(QUIT, { type: "quit", verb: "QUIT" }, now);
    this.#state = this.#state === "live" ? "quitting" : "leaving";
  }

  #take(reply: Reply): void {
    if (this.#state === "leaving") return;
    if (reply.type === "push" || (reply.type === "array" && this.#arraysArePushes())) this.#push(reply.value);
    else if (this.#state === "handshake") this.#shake(this.#handshake.reply(reply));
    else this.#reply(reply);
  }

  #arraysArePushes(): boolean {
    return this.#protocol === 2 && this.#state !== "handshake" && this.#subscriptions !== undefined;
  }

  #push(items: readonly Reply[]): void {
    const event = this.#pushes.read(items);
    switch (event.type) {
      case "message":
        // Whoever only sends commands takes none.
        if (this.#subscriptions === undefined) break;
        this.#run.hold(new Topic(event.kind, event.channel, event.pattern), event.payload);
        break;
      case "pong":
        this.#reply({ type: "simple-string", value: "PONG" });
        break;
      case "subscribed":
        this.#subscribed(event);
        break;
      case "unsubscribed":
        this.#unsubscribed(event);
        break;
      case "moving":
        this.#events.push(event);
        break;
      case "unknown":
        this.#events.push({ type: "unknown-push", label: event.label });
    }
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
      if (sent.type === "unsubscribe" || isTransient(text)) throw error;
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
    const command = [verb, nameArgument(name)];
    if (action === "unsubscribe" && KINDS[kind].revocable) {
      this.#out.add(command);
      this.#send(PING, { type: "unsubscribe-and-ping", verb, kind, name }, now);
    } else this.#send(command, { type: action, verb, kind, name }, now);
  }

  #shake(progress: HandshakeProgress): void {
    if (progress.type === "send") { for (const args of progress.commands) this.#out.add(args); }
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
    const subscriptions = this.#subscriptions!;
    this.#scanner = new Scanner({ limits: this.#reader.limits, protocol, subscriptions: () => subscriptions.size });
    for (const kind of KIND_NAMES) {
      for (const name of desired.names(kind)) this.#reconcile(kind, name, now);
    }
    this.#opening = subscriptions.unsettled;
    if (this.#opening === 0) this.#events.push({ type: "synced" });
  }

  #send(command: readonly Argument[] | Uint8Array, sent: Sent, now: number): void {
    if (this.#sent.size === 0) this.#patience.renew(now);
    this.#sent.push(sent);
    if (command instanceof Uint8Array) this.#out.append(command);
    else this.#out.add(command);
  }

  /** How long the answer that is due may take; `Infinity`: none is. */
  #timeoutMs(): number {
    if (this.#state === "handshake") return this.#options.handshakeTimeoutMs;
    return this.#sent.size > 0 ? this.#options.commandTimeoutMs : Infinity;
  }
}
