/**
 * Pumps one transport through one session: reads while it may, joins the writes of one turn, keeps the one timer.
 * It is told to stop reading when a consumer wants backpressure, and it ends once, with a cause.
 *
 * @module
 */

import { ConnectionError, ProtocolError, RedisError } from "../errors.ts";
import type { Kind } from "../message.ts";
import type { SessionEvent } from "../protocol/push.ts";
import { Session, type SessionOptions } from "../protocol/session.ts";
import type { Entry, Subscriptions } from "../protocol/subscriptions.ts";
import type { Reply } from "../resp/reply.ts";
import type { Argument } from "../resp/writer.ts";
import type { Taker, TellingTransport, Transport } from "../transport/transport.ts";
import type { Clock } from "./clock.ts";
import { Demand } from "./demand.ts";

/** So many names in one turn of the event loop are not kept waiting for its end. */
const EARLY_NAMES = 2_048;
/** How often the timer looks whether the machine slept, in milliseconds, and how late it then is at least. */
const BEAT_MS = 2_000;
const JUMP_MS = 1_000;
/**
 * A read that waits so long has found the socket empty: we keep up, in milliseconds. So has one that waits at all, and
 * then brings less than this, in bytes: what waits for us comes in larger pieces.
 */
const EMPTY_MS = 100;
const LITTLE_MS = 1;
const LITTLE_BYTES = 1_024;
/** So much must have waited for us before we count as too slow, in bytes: less is no reason to cut anybody off. */
const SLOW_BYTES = 65_536;
/** How an alert of TLS starts, where a reply should. */
const TLS_ALERT = "\\x15\\x03";
const TOO_SLOW = "likely client-output-buffer-limit, since we read too slowly: " +
  'take messages faster, use another overflow than "block", or raise that limit';

/** What a connection is given. */
export interface ConnectionOptions {
  readonly session: SessionOptions;
  readonly clock: Clock;
  /** For the texts of errors. */
  readonly endpoint: string;
  /** What is likely when the peer ends it before it has said anything, or says so in TLS. */
  readonly mute?: string | undefined;
  /** When the credentials expire that it is opened with, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined;
  /** Hears what happens, in order, until the connection has ended. Must not throw. */
  readonly onEvent: (event: SessionEvent) => void;
}

/** One live connection. */
export class Connection {
  /** Resolves, once, with what ended the connection; never rejects. */
  readonly ended: Promise<RedisError>;
  /** When it began to end, on the clock; undefined: it has not. */
  endedAt: number | undefined;

  #transport: Transport & Partial<TellingTransport>;
  #session: Session;
  #options: ConnectionOptions;
  #end!: (cause: RedisError) => void;
  #state: "open" | "ended" = "open";
  #writing: "idle" | "scheduled" | "busy" = "idle";
  /** When it was scheduled, at the end of the turn of the event loop that it was then. */
  #scheduledAt = 0;
  /** Of how many names it was told since, or since some were written early. */
  #synced = 0;
  /** What is waited for while it must not read. */
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  #heard: "nothing" | "something" = "nothing";
  #demand: Demand;
  /** How many bytes were read since we fell behind; undefined while we keep up. */
  #backlog: number | undefined;
  /** When the read that is under way began, while there is a backlog. */
  #readAt = 0;
  /** When something was heard before we stopped reading; undefined when something was since. */
  #stoppedAt: number | undefined;
  /** How long we did not read since we fell behind, in milliseconds: so much older may be what is heard. */
  #lagMs = 0;
  /** How much earlier than {@linkcode lastHeard} is {@linkcode heardUntil}; and what that was before the chunk in hand. */
  #ageMs = 0;
  #heardBefore: number;
  /** The one timer: when it is due on the clock, and by the date. */
  #timer: { readonly at: number; readonly date: number; readonly cancel: () => void } | undefined;
  /** Who waits for the answer to which command of ours, by ticket. */
  #asked = new Map<number, (reply: Reply | undefined) => void>();

  /** Makes the connection; {@linkcode start} sets it in motion. */
  constructor(transport: Transport, options: ConnectionOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#heardBefore = options.clock.now();
    this.#session = new Session(options.session, this.#heardBefore);
    this.#demand = new Demand(options.clock, this.#advance);
    this.ended = new Promise((resolve) => this.#end = resolve);
  }

  /** Sends the handshake and reads on until the end. */
  start(): void {
    // In RESP2 with nothing to introduce, the handshake is over before a byte has come.
    this.#advance();
  }

  /** What the server has confirmed here; undefined on a connection for commands. */
  get subscriptions(): Subscriptions | undefined {
    return this.#session.subscriptions;
  }

  /** Has it ended? */
  get hasEnded(): boolean {
    return this.#state === "ended";
  }

  /** When the credentials expire that it was opened with, in milliseconds since the epoch; undefined: never. */
  get expiresAt(): number | undefined {
    return this.#options.expiresAt;
  }

  /** When the peer was heard last, on the clock. */
  get lastHeard(): number {
    return this.#session.lastHeard;
  }

  /**
   * Until when everything is heard that the server said, on the clock. While we are behind, because we did not read, that
   * is earlier than {@linkcode lastHeard}; so it is when the end comes before the last of it was handed out.
   */
  get heardUntil(): number {
    return this.#session.lastHeard - this.#ageMs;
  }

  /** What is wanted of this name has changed; one that was denied is asked for again. */
  sync(kind: Kind, name: string): void {
    // With the first of many names all is done that the others need.
    if (this.#writing !== "scheduled") {
      this.#session.sync(kind, name, this.#options.clock.now());
      this.#synced = 0;
      return this.#touch();
    }
    this.#session.sync(kind, name, this.#scheduledAt);
    if (++this.#synced === EARLY_NAMES) void this.#writeEarly();
  }

  /** The same of many names of one kind, which are wanted. */
  request(kind: Kind, entries: readonly Entry[]): void {
    if (this.#writing !== "scheduled") this.#synced = 0;
    this.#session.request(kind, entries, this.#options.clock.now());
    this.#touch();
    this.#synced += entries.length;
    if (this.#synced >= EARLY_NAMES && this.#writing === "scheduled") void this.#writeEarly();
  }

  /** Sends a command; its `reply` event carries the ticket that this gives. */
  command(verb: string, command: readonly Argument[] | Uint8Array): number {
    const ticket = this.#session.command(verb, command, this.#options.clock.now());
    this.#touch();
    return ticket;
  }

  /**
   * Sends a command whose answer is told to `answered`, in its place among the events, and is no event; undefined where
   * the connection ended before it. Must not throw.
   */
  ask(command: readonly [verb: string, ...Argument[]], answered: (reply: Reply | undefined) => void): void {
    if (this.#state === "ended") return answered(undefined);
    this.#asked.set(this.command(command[0], command), answered);
  }

  /** Stops reading after the event in hand, until {@linkcode resume}. */
  pause(): void {
    if (this.#gate !== undefined || this.#state === "ended") return;
    let open = () => {};
    const opened = new Promise<void>((resolve) => open = resolve);
    this.#gate = { opened, open };
    if (this.#demand.release()) void opened.then(this.#advance);
    this.#fallBehind();
    this.#session.pause();
  }

  /** Reads again. */
  resume(): void {
    if (this.#gate === undefined) return;
    this.#session.resume(this.#options.clock.now());
    this.#fallBehind();
    this.#gate.open();
    this.#gate = undefined;
    this.#touch();
  }

  /** Leaves in good order: what is due is still answered, then the server ends the connection, or `withinMs` passes. */
  async quit(withinMs: number): Promise<void> {
    this.resume();
    this.#session.quit(this.#options.clock.now());
    this.#touch();
    const late = () => this.abort(this.#closed("the server did not end it in time"));
    const cancel = this.#options.clock.after(withinMs, late);
    await this.ended;
    cancel();
  }

  /** Ends at once. */
  abort(cause: RedisError): void {
    if (this.#state === "ended") return;
    if (this.#demand.release()) return this.#abortBehind(cause);
    this.#state = "ended";
    this.endedAt = this.#options.clock.now();
    this.#demand.end();
    // What is in hand is not handed out any more.
    if (this.#gate !== undefined) this.#ageMs = this.lastHeard - this.#heardBefore;
    this.#session.pause();
    this.#timer?.cancel();
    this.#transport.close();
    this.#gate?.open();
    for (const answered of this.#asked.values()) answered(undefined);
    this.#asked.clear();
    this.#end(cause);
  }

  /**
   * Hands out what the bytes mean, and reads on; while the gate is shut it waits. It is no loop that awaits, since that
   * would keep the last chunk alive until the next one comes.
   */
  #advance = (): void => {
    try {
      if (this.#handOut() === "some" || this.#state === "ended") return;
      if (this.#session.news === "some") this.#touch();
      if (this.#backlog !== undefined) this.#readAt = this.#options.clock.now();
      const [transport, room] = [this.#transport, this.#session.room()];
      if (transport.readFor === undefined) transport.read(room).then(this.#receive, this.#cut);
      else transport.readFor(this.#taker, room);
    } catch (error) {
      this.#fail(error);
    }
  };

  /** Hands out what the bytes mean; `some`: the rest waits, or the gate is shut. */
  #handOut(): "all" | "some" {
    for (let event; this.#state === "open" && (event = this.#session.next()) !== undefined;) {
      if (event.type === "messages" && this.#demand.keeps(event)) return "some";
      if (event.type !== "reply" || !this.#answer(event.ticket, event.reply)) this.#options.onEvent(event);
      if (this.#gate !== undefined) {
        void this.#gate.opened.then(this.#advance);
        return "some";
      }
    }
    return "all";
  }

  /** Ends, once all is handed out that was heard before. */
  #abortBehind(cause: RedisError): void {
    try {
      this.#handOut();
      this.abort(cause);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Tells an answer to whoever asked; false where nobody of ours did. */
  #answer(ticket: number, reply: Reply): boolean {
    const answered = this.#asked.get(ticket);
    answered?.(reply);
    return this.#asked.delete(ticket);
  }

  #receive = (chunk: Uint8Array | number | undefined, memory: "kept" | "lent" = "kept"): void => {
    if (this.#state === "ended") return;
    if (chunk === undefined) return this.#cut();
    try {
      const now = this.#options.clock.now();
      this.#heard = "something";
      this.#heardBefore = this.heardUntil;
      this.#demand.renew();
      this.#session.receive(chunk, now, memory);
      this.#ageMs = this.#backlog === undefined ? 0 : this.#catchUp(chunk, now);
    } catch (error) {
      // A transport that a user has brought gave something else than bytes.
      return this.#fail(error);
    }
    this.#advance();
  };

  #fail = (error: unknown): void => this.abort(this.#toRedisError(error));

  /** The peer ended it, or the network did. A server that cuts off a slow subscriber says no word. */
  #cut = (error?: unknown): void => {
    const cause = error === undefined ? this.#closed("the server closed it") : this.#toRedisError(error);
    const slow = this.subscriptions !== undefined && (this.#backlog ?? 0) >= SLOW_BYTES;
    const { endpoint, mute } = this.#options;
    const likely = slow ? TOO_SLOW : this.#heard === "nothing" ? mute : undefined;
    if (likely === undefined) return this.abort(cause);
    this.abort(new ConnectionError(`${cause.message}, ${likely}`, { endpoint, cause: error }));
  };

  #taker: Taker = { filled: this.#receive, took: this.#receive, ended: this.#cut };

  /** We do not read, or did not: a read that is under way tells nothing of the time before. */
  #fallBehind(): void {
    this.#backlog ??= 0;
    this.#readAt = this.#options.clock.now();
    this.#stoppedAt ??= this.#session.lastHeard;
  }

  /** Something came while we are behind; gives how old it may be. */
  #catchUp(chunk: Uint8Array | number, now: number): number {
    const bytes = typeof chunk === "number" ? chunk : chunk.length;
    this.#backlog! += bytes;
    if (this.#stoppedAt !== undefined) this.#lagMs += now - this.#stoppedAt;
    this.#stoppedAt = undefined;
    // A read was under way when we stopped.
    const ageMs = this.#lagMs;
    if (this.#gate !== undefined) return ageMs;
    const waitedMs = now - this.#readAt;
    if (waitedMs <= EMPTY_MS && (waitedMs < LITTLE_MS || bytes >= LITTLE_BYTES)) return ageMs;
    this.#backlog = undefined;
    this.#lagMs = 0;
    // A little may be the last of what waited: nothing waits any more, but it did.
    return waitedMs > EMPTY_MS ? 0 : ageMs;
  }

  /** After anything that may have made output, or moved the deadline. */
  #touch(): void {
    if (this.#state === "ended") return;
    if (this.#writing === "idle" && this.#session.hasOutput) {
      this.#writing = "scheduled";
      this.#scheduledAt = this.#options.clock.now();
      queueMicrotask(() => this.#write());
    }
    this.#session.news = "none";
    const deadline = this.#session.deadline();
    // A timer that comes too early looks again; only one that comes too late has to be replaced.
    if (deadline === Infinity || (this.#timer !== undefined && this.#timer.at <= deadline)) return;
    this.#timer?.cancel();
    const { clock } = this.#options;
    const now = clock.now();
    const ms = Math.min(deadline - now, BEAT_MS);
    this.#timer = { at: now + ms, date: clock.date() + ms, cancel: clock.after(ms, () => this.#tick()) };
  }

  #tick(): void {
    const { clock } = this.#options;
    const now = clock.now();
    const { at, date } = this.#timer!;
    this.#timer = undefined;
    // Where the clock stands still while the machine sleeps, the date tells.
    const lateMs = Math.max(now - at, clock.date() - date);
    // Our program was busy, and may be far behind.
    if (now - at > JUMP_MS) this.#fallBehind();
    try {
      this.#session.tick(now, lateMs > JUMP_MS ? "jumped" : "passed");
      this.#touch();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The server may begin while we go through the rest of many names. */
  async #writeEarly(): Promise<void> {
    this.#synced = 0;
    try {
      const bytes = this.#session.output();
      if (bytes !== undefined) await this.#transport.write(bytes);
    } catch (error) {
      this.#cut(error);
    }
  }

  #write(): void {
    this.#writing = "busy";
    this.#touch();
    this.#writeNext();
  }

  /** Writes what there is, and what comes meanwhile. No loop that awaits, which takes longer than all else of a short command. */
  #writeNext = (): void => {
    try {
      const bytes = this.#session.output();
      if (bytes === undefined) this.#writing = "idle";
      else this.#transport.write(bytes).then(this.#writeNext, this.#cut);
    } catch (error) {
      this.#cut(error);
    }
  };

  #toRedisError(error: unknown): RedisError {
    const { mute } = this.#options;
    if (
      mute !== undefined && error instanceof ProtocolError && error.offset === 0 && error.excerpt.startsWith(TLS_ALERT)
    ) {
      return this.#closed(mute, error);
    }
    return error instanceof RedisError ? error : this.#closed("the transport failed", error);
  }

  #closed(why: string, cause?: unknown): ConnectionError {
    const { endpoint } = this.#options;
    return new ConnectionError(`Lost the connection to ${endpoint}: ${why}`, { endpoint, cause });
  }
}
