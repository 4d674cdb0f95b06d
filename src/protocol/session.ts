/**
 * One connection's brain: bytes in; events, bytes and a deadline out.
 *
 * 1. The handshake comes first; until it is done nothing else is sent.
 * 2. A server answers commands in the order in which it got them. The outbox holds, oldest first, every command whose
 *    answer is due, so an error reply, which names no channel, is blamed on the oldest command; where that carries several
 *    names, they are asked for one by one. Acknowledgements are looked up by kind and name, wherever they stand.
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
import type { Argument } from "../resp/writer.ts";
import { Handshake, type HandshakeOptions, type HandshakeProgress, isTransient } from "./handshake.ts";
import { KeepAlive, type KeepAliveOptions, Patience } from "./keepalive.ts";
import { KIND_NAMES, KINDS } from "./kind.ts";
import { nameArgument } from "../name.ts";
import { type DueCommand, Outbox, type SubscriptionCommand } from "./outbox.ts";
import { type Acknowledgement, PushReader, type SessionEvent } from "./push.ts";
import { Acks } from "../run/acks.ts";
import { Run } from "../run/run.ts";
import { Scanner } from "../run/scanner.ts";
import { Topic } from "../run/topics.ts";
import type { Desired, Entry, Place, SubscriptionInput } from "./subscriptions.ts";
import { Subscriptions } from "./subscriptions.ts";

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

const PING = ["PING"];
const QUIT = ["QUIT"];
/** An ACL may forbid PING: the refusal is as good a sign of life as a PONG. */
const PING_REFUSED = /'ping'/i;
const SLOT_MOVED = /^(MOVED|CLUSTERDOWN) /;

/** The state of one connection. */
export class Session {
  /** `some`: it was told of more than messages, so that there may be output, and an earlier {@linkcode deadline}. */
  news: "none" | "some" = "some";
  #options: SessionOptions;
  #reader: Reader;
  #pushes = new PushReader();
  #run = new Run();
  /** Once the protocol is known, where there is anything to subscribe to. */
  #scanner: Scanner | undefined;
  #acks: Acks | undefined;
  #handshake: Handshake;
  /** `leaving`: it was told to quit before the handshake was done, so no answer matters but the end. */
  #state: "handshake" | "live" | "quitting" | "leaving" = "handshake";
  #protocol: 2 | 3 = 2;
  #keepAlive: KeepAlive;
  #subscriptions: Subscriptions | undefined;
  #outbox = new Outbox();
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

  /** Takes what came from the peer, as {@linkcode Reader.feed} does; {@linkcode next} tells what it means. */
  receive(chunk: Uint8Array | number, now: number, memory: "kept" | "lent" = "kept"): void {
    this.#reader.feed(chunk, now - this.#lastHeard, memory);
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
      const found = this.#takeAcknowledgements() || // where one is due, many are
        (this.#state !== "leaving" && this.#scanner?.scan(this.#reader, run)) || "nothing";
      if (found === "messages" || found === "acknowledgements") continue;
      const reply = found === "nothing" ? this.#reader.next() : undefined;
      if (reply === undefined) return run.clear();
      this.#take(reply);
    }
  }

  /** Is there any {@linkcode output}? */
  get hasOutput(): boolean {
    return !this.#outbox.isEmpty;
  }

  /** The bytes to send since the last call; undefined when there are none. */
  output(): Uint8Array | undefined {
    return this.#outbox.take();
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
      throw new TimeoutError(this.#outbox.first?.verb ?? this.#handshake.awaiting, this.#timeoutMs());
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
    if (this.#subscriptions === undefined) return;
    if (this.#outbox.first === undefined) this.#patience.renew(now);
    this.#advance(kind, name, "retried");
  }

  /** The same of many names of one kind, which are wanted. */
  request(kind: Kind, entries: readonly Entry[], now: number): void {
    if (this.#state !== "live") { for (const { name } of entries) this.sync(kind, name, now); }
    else {
      if (this.#outbox.first === undefined) this.#patience.renew(now);
      this.#outbox.askAll("subscribe", kind, this.#subscriptions!.request(entries));
    }
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
    this.news = "some";
    if (this.#state === "leaving") return;
    const arraysArePushes = this.#protocol === 2 && this.#state !== "handshake" && this.#subscriptions !== undefined;
    if (reply.type === "push" || (reply.type === "array" && arraysArePushes)) this.#push(reply.value);
    else if (this.#state === "handshake") this.#shake(this.#handshake.reply(reply));
    else this.#reply(reply);
  }

  #push(items: readonly Reply[]): void {
    const event = this.#pushes.read(items);
    switch (event.type) {
      case "message":
        // Whoever only sends commands takes none.
        if (this.#subscriptions === undefined) return;
        return this.#run.hold(new Topic(event.kind, event.channel, event.pattern), event.payload);
      case "pong":
        return this.#reply({ type: "simple-string", value: "PONG" });
      case "subscribed":
      case "unsubscribed":
        return this.#acknowledged(event);
      case "moving":
        return this.#events.push(event);
      case "unknown":
        this.#events.push({ type: "unknown-push", label: event.label });
    }
  }

  #acknowledged({ type, kind, name }: Acknowledgement): void {
    // There was nothing to unsubscribe from.
    if (type === "unsubscribed" && name === undefined) return;
    if (type === "unsubscribed" && KINDS[kind].revocable) return this.#revoked(kind, name!);
    const action = type === "subscribed" ? "subscribe" : "unsubscribe";
    if (name === undefined || !this.#outbox.settle(action, kind, name)) {
      const did = type === "subscribed" ? `confirmed a ${kind} that was not asked for` : `ended a ${kind} by itself`;
      throw new ProtocolError(`The server ${did}`);
    }
    this.#answer(action, kind, name);
  }

  /** Whether ours or the server's own doing: while ours is on its way, the PONG behind it settles both. */
  #revoked(kind: Kind, name: string): void {
    const state = this.#subscriptions?.state(kind, name);
    this.#advance(kind, name, "revoked");
    if (state !== "subscribed") return;
    this.#events.push({ type: "revoked", kind, name });
    this.#settled();
  }

  /** Takes the acknowledgements that are due next, where they are what comes next; undefined where none is. */
  #takeAcknowledgements(): "acknowledgements" | "a part of one" | undefined {
    const due = this.#outbox.first;
    if (this.#state === "leaving" || (due?.type !== "subscribe" && due?.type !== "unsubscribe")) return undefined;
    const acks = this.#acks!;
    const { type, kind, places, next, text } = due;
    const end = acks.take(KINDS[kind][type === "subscribe" ? "subscribed" : "unsubscribed"], places, next, text);
    if (end === next) return acks.isCutOff ? "a part of one" : undefined;
    this.news = "some";
    this.#outbox.pass(due, end);
    for (let at = next; at < end; at++) {
      at = this.#settle(type, kind, places, at, end);
      if (at < end) this.#answer(type, kind, places[at]!.name);
    }
    return "acknowledgements";
  }

  /** Names in a row are at rest by what the server has done; gives the index of the first that is not. */
  #settle(action: "subscribe" | "unsubscribe", kind: Kind, places: Place[], from: number, end: number): number {
    const isSubscribed = action === "subscribe";
    if (this.#state !== "live") return from;
    const to = this.#subscriptions!.settle(isSubscribed ? "confirmed" : "removed", places, from, end);
    if (to === from) return to;
    this.#events.push({ type: "settled", did: isSubscribed ? "subscribed" : "unsubscribed", kind, places, from, to });
    this.#settled(to - from);
    return to;
  }

  /** The server has done what was asked for. */
  #answer(action: "subscribe" | "unsubscribe", kind: Kind, name: string): void {
    const isSubscribed = action === "subscribe";
    const isAtRest = this.#advance(kind, name, isSubscribed ? "confirmed" : "removed");
    this.#events.push({ type: isSubscribed ? "subscribed" : "unsubscribed", kind, name, isAtRest });
    this.#settled();
  }

  /** The oldest command is answered by anything but an acknowledgement. */
  #reply(reply: Reply): void {
    const text = reply.type === "simple-error" || reply.type === "bulk-error" ? reply.value : undefined;
    const due = this.#outbox.first;
    if (due === undefined) {
      if (text !== undefined) throw new ReplyError(text, "The connection");
      throw new ProtocolError(`The server answered a command that was not sent: ${reply.type}`);
    }
    if (due.type === "unsubscribe-and-ping" && text !== undefined && !PING_REFUSED.test(text)) {
      // A slot that has moved away refuses SUNSUBSCRIBE; the answer to the PING behind it is still due.
      if (SLOT_MOVED.test(text)) return;
      throw new ReplyError(text, due.verb, { channel: due.name });
    }
    if (due.type === "subscribe" || due.type === "unsubscribe") {
      if (text === undefined) throw new ProtocolError(`The server answered ${due.verb} with: ${reply.type}`);
      return this.#refused(due, text);
    }
    this.#outbox.shift();
    this.#patience.renew(this.#lastHeard);
    if (due.type === "unsubscribe-and-ping") this.#answer("unsubscribe", due.kind, due.name);
    if (due.type === "quit" && text !== undefined) throw new ReplyError(text, due.verb);
    if (due.type === "command") this.#events.push({ type: "reply", ticket: due.ticket, reply });
  }

  /** The server refused the oldest command, in these words. */
  #refused({ type, verb, kind, places, next }: SubscriptionCommand, text: string): void {
    const { name } = places[next]!;
    const error = new ReplyError(text, verb, { channel: name });
    // Not to be rid of a subscription is worse than a new connection.
    if (type === "unsubscribe" || isTransient(text)) throw error;
    this.#outbox.shift();
    this.#patience.renew(this.#lastHeard);
    if (next < places.length - 1) {
      // Which of them it is that is refused, it tells for each by itself.
      if (this.#state === "live") { for (const place of places.slice(next)) this.#outbox.askAlone(type, kind, place); }
      return;
    }
    this.#advance(kind, name, "rejected");
    this.#events.push({ type: "denied", kind, name, error });
    this.#settled();
  }

  /** Names came to rest: the last one may be among them. */
  #settled(count = 1): void {
    this.#patience.renew(this.#lastHeard);
    const opened = this.#opening > 0 && this.#opening <= count;
    this.#opening = Math.max(0, this.#opening - count);
    if (opened || this.#subscriptions!.unsettled === 0) this.#events.push({ type: "synced" });
  }

  /** Takes what happened to a name, and sends what has to be sent for it; true where that is nothing. */
  #advance(kind: Kind, name: string, input: SubscriptionInput): boolean {
    this.#subscriptions!.input(kind, name, input);
    if (this.#state !== "live") return false;
    const action = this.#subscriptions!.reconcile(kind, name);
    if (action === "none") return true;
    const { unsubscribe, revocable } = KINDS[kind];
    if (action === "unsubscribe" && revocable) {
      this.#outbox.send([unsubscribe, nameArgument(name)]);
      this.#outbox.send(PING, { type: "unsubscribe-and-ping", verb: unsubscribe, kind, name });
    } else this.#outbox.ask(action, kind, this.#subscriptions!.place(kind, name)!);
    return false;
  }

  #shake(progress: HandshakeProgress): void {
    if (progress.type === "send") { for (const args of progress.commands) this.#outbox.send(args); }
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
    const subscriptions = this.#subscriptions;
    if (subscriptions === undefined) return;
    this.#acks = new Acks(this.#reader, protocol);
    this.#scanner = new Scanner({ limits: this.#reader.limits, protocol, subscriptions: () => subscriptions.size });
    for (const kind of KIND_NAMES) {
      this.#outbox.askAll("subscribe", kind, subscriptions.request(this.#options.desired!.wanted(kind)));
    }
    this.#opening = subscriptions.unsettled;
    if (this.#opening === 0) this.#events.push({ type: "synced" });
  }

  #send(command: readonly Argument[] | Uint8Array, due: DueCommand, now: number): void {
    if (this.#outbox.first === undefined) this.#patience.renew(now);
    this.#outbox.send(command, due);
  }

  /** How long the answer that is due may take; `Infinity`: none is. */
  #timeoutMs(): number {
    if (this.#state === "handshake") return this.#options.handshakeTimeoutMs;
    return this.#outbox.first !== undefined ? this.#options.commandTimeoutMs : Infinity;
  }
}
