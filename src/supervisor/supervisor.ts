/**
 * Keeps a subscriber alive: locate → dial → handshake → resubscribe → confirmed → backoff → again.
 *
 * 1. It owns the desired set, which outlives connections. A failed first connection takes it along: what the caller was
 *    told has failed leaves nothing behind.
 * 2. One loop, one connection at a time. Whatever goes wrong at whatever step ends that connection with a cause, and
 *    the loop decides: again, or the end.
 * 3. It is live when every wanted name is acknowledged, not when a socket opens.
 *
 * @module
 */

import { backoffMs } from "../connection/backoff.ts";
import { type CallOptions, sleep, unlessAborted, within } from "../connection/wait.ts";
import type { Connection } from "../connection/connection.ts";
import { ConnectionError, RedisError } from "../errors.ts";
import type { ClientEventBody } from "../event.ts";
import type { Kind } from "../message.ts";
import { isPrivate } from "../name.ts";
import { isAuthenticationError } from "../protocol/handshake.ts";
import type { OtherEvent, Settled } from "../protocol/push.ts";
import type { Desired, Entry, Subscriptions } from "../protocol/subscriptions.ts";
import { Calls, type KindedName, type Wanted } from "./calls.ts";
import { Canary } from "./canary.ts";
import { type End, Line } from "./line.ts";
import type { LossReason, SupervisorListener, SupervisorOptions } from "./options.ts";
import { type Denials, Roster, type Subscription } from "./roster.ts";

/** What is gone, as far as that matters. */
type Lost = { readonly heardUntil: number; readonly subscriptions: Pick<Subscriptions, "places"> | undefined };

/** Keeps one subscriber alive. */
export class Supervisor {
  /** How many pushes came that nobody here knows. */
  unknownPushes = 0;
  #options: SupervisorOptions;
  #listener: SupervisorListener;
  #roster = new Roster(() => this.#line.confirmed);
  #line: Line;
  #calls: Calls;
  #canary: Canary | undefined;
  #state: "idle" | "running" | "closing" | "closed" = "idle";
  /** `first`: no SUBSCRIBE was ever answered; a failure is told to the callers. `later`: it is mended. */
  #phase: "first" | "later" = "first";
  /** `live`: it is asked for every name. `ready`: all are acknowledged; told once for each connection. */
  #stage: "opening" | "live" | "ready" = "opening";
  /** Failed attempts in a row. */
  #failures = 0;
  /** How many connections became ready. */
  #readied = 0;
  /** Since when messages may be missing, on the clock. */
  #lostSince: number | undefined;
  /** And why. */
  #lostBy = new Set<LossReason>();
  /** Calls off the next attempt at the names that are refused. */
  #retry: (() => void) | undefined;
  /** Aborted when nothing more is to be dialled or waited for. */
  #lifetime = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** Does nothing until something is wanted. */
  constructor(options: SupervisorOptions, listener: SupervisorListener) {
    this.#options = options;
    this.#listener = listener;
    this.#line = new Line({ ...options, desired: this.#roster.desired }, {
      messages: (run) => listener.messages(run),
      hear: (event) => this.#hear(event),
      listen: (channel, heard) => listener.listen(channel, heard),
      overhear: (event) => this.#overhear(event),
      moved: (old, denials, how) => this.#moved(old, denials, how),
      failed: (error) => this.#emit({ type: "error", error }),
    });
    const { publish, link: { keepAlive, clock } } = options;
    if (publish !== undefined && keepAlive !== false) {
      this.#canary = new Canary({ ...keepAlive, clock, publish }, {
        ask: (answered) => this.#line.ping(answered),
        dead: (cause) => this.#line.connection?.abort(cause),
        mute: (error) => this.#emit({ type: "error", error }),
      });
    }
    this.#calls = new Calls(this.#roster.desired, this.#roster, clock);
  }

  /** How often a connection was replaced by another one that became ready. */
  get reconnects(): number {
    return Math.max(0, this.#readied - 1);
  }

  /** What is wanted. */
  get desired(): Desired {
    return this.#roster.desired;
  }

  /** When the server was heard last on the live connection, on the clock. */
  get lastHeard(): number | undefined {
    return this.#line.connection?.lastHeard;
  }

  /** Wants names of one kind from now on; {@linkcode wait} tells when the server has acknowledged them. */
  want(kind: Kind, entries: readonly Entry[]): void {
    this.#roster.want(kind, entries);
    this.#line.request(kind, entries);
    if (this.#state !== "idle") return;
    this.#state = "running";
    this.#loop = this.#run();
  }

  /** Wants a name no longer. */
  drop(kind: Kind, name: string): void {
    const denied = this.#roster.drop(kind, name);
    this.#line.sync(kind, name);
    this.#calls.look(kind, name);
    // The last one that kept a loss going.
    if (denied && !this.#roster.hasDenials) this.#recover("denied");
  }

  /**
   * Waits until names have come to rest: acknowledged, or gone, whichever was asked for last.
   *
   * @throws {ReplyError} when the server refuses one of them
   * @throws {ConnectionError} when the first connection fails, or all is closed
   */
  async wait(what: string, wants: Wanted, names: readonly KindedName[], options: CallOptions): Promise<void> {
    if (wants === "present" && (this.#state === "closing" || this.#state === "closed")) {
      throw new ConnectionError(`${what} failed: the subscriber is closed`);
    }
    await this.#calls.wait(what, wants, names, options);
  }

  /** Does any call wait for this name? */
  awaits(kind: Kind, name: string): boolean {
    return this.#calls.has(kind, name);
  }

  /**
   * Waits until every wanted name is acknowledged on the live connection, and a PING has proved that it lives.
   *
   * @throws {ReplyError} when the server refuses one of them
   */
  async synced(options: CallOptions): Promise<void> {
    const given = new AbortController();
    try {
      await within(this.#sync(given.signal), "synced", options, this.#options.link.clock);
    } finally {
      given.abort();
    }
  }

  /** Has the server acknowledged this name on the live connection? */
  has(kind: Kind, name: string): boolean {
    return this.#roster.has(kind, name);
  }

  /** Stops reading the socket, so that the server feels it, until {@linkcode resume}. A new connection reads again. */
  pause(): void {
    // While it closes, what is due has to be heard.
    if (this.#state === "running") this.#line.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#line.resume();
  }

  /** Where every name stands that is wanted, or still there. */
  subscriptions(): Subscription[] {
    return this.#roster.subscriptions();
  }

  /** Unsubscribes on the wire, waits for the acknowledgements within the limit, and closes. Idempotent, never rejects. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const ended = this.#state === "closed";
    this.#state = "closing";
    this.#lifetime.abort(new ConnectionError("Gave up connecting: it was closed"));
    this.#line.settle();
    this.#canary?.stop();
    const { connection } = this.#line;
    const names = this.#roster.names();
    this.#roster.desired.clear();
    if (connection !== undefined) {
      for (const { kind, name } of names) connection.sync(kind, name);
      await connection.quit(this.#options.closeTimeoutMs);
    }
    await this.#loop;
    await this.#line.retired();
    this.#calls.end(new ConnectionError("Closed before the server acknowledged it"));
    this.#state = "closed";
    if (!ended) this.#emit({ type: "closed" });
  }

  async #run(): Promise<void> {
    while (this.#state === "running") {
      const { cause, at } = await this.#connect();
      if (this.#state !== "running") return;
      const { reconnect, waitOnFirstConnect, link: { clock } } = this.#options;
      const refused = isAuthenticationError(cause);
      if (this.#phase === "first" && (refused || !waitOnFirstConnect)) return this.#abandon(cause);
      if (reconnect === false || this.#failures > reconnect.maxAttempts) return this.#fail(cause);
      // A wrong password will not be right in a moment.
      const pace = refused ? { ...reconnect, initialDelayMs: reconnect.maxDelayMs } : reconnect;
      const delayMs = backoffMs(this.#failures, clock.random(), pace);
      this.#emit({ type: "reconnecting", attempt: this.#failures, delayMs });
      // What was done meanwhile for the lost connection is part of the wait.
      await sleep(delayMs - (clock.now() - at), this.#lifetime.signal, clock);
    }
  }

  /** One connection, from beginning to end; gives what ended it. */
  async #connect(): Promise<End & { readonly at: number }> {
    const { cause, at = this.#options.link.clock.now() } = await this.#open();
    // The next connection asks again.
    this.#roster.forgive();
    this.#retry?.();
    this.#retry = undefined;
    this.#canary?.stop();
    this.#failures++;
    if (this.#state !== "running") return { cause, at };
    this.#emit({ type: "disconnected", error: cause });
    this.#calls.lookAtAll();
    return { cause, at };
  }

  async #open(): Promise<End> {
    this.#stage = "opening";
    try {
      const endpoint = await unlessAborted(this.#lifetime.signal, () => this.#options.locate());
      const canary = this.#canary;
      // Every connection subscribes to its channel as well.
      if (canary !== undefined && this.#roster.desired.add("channel", canary.channel)) {
        this.#listener.listen(canary.channel, () => canary.heard());
      }
      const opening = this.#line.open(endpoint, this.#lifetime.signal);
      this.#emit({ type: "connecting", attempt: this.#failures + 1 });
      const { cause, connection } = await opening;
      this.#lost(connection, "reconnect");
      connection.subscriptions?.end();
      return { cause, at: connection.endedAt };
    } catch (error) {
      if (error instanceof RedisError) return { cause: error };
      return { cause: new ConnectionError("Cannot find the endpoint", { cause: error }) };
    }
  }

  async #sync(signal: AbortSignal): Promise<void> {
    // What is asked for is answered before a PING behind it: only what is asked for after that is waited for by name.
    for (let names: KindedName[] = [];;) {
      await this.wait("synced", "present", names, { signal });
      if (this.#roster.isEmpty) return;
      if (this.#stage === "opening" || this.#line.confirmed === undefined) await this.#calls.opening();
      else if (await new Promise((resolve) => this.#line.ping(resolve)) === "ended") names = [];
      else if (names.length > 0 || (this.#roster.isSettled && !this.#line.moves)) return;
      else names = this.#roster.names();
    }
  }

  #hear(event: OtherEvent): void {
    switch (event.type) {
      case "connected":
        if (this.#stage === "opening") this.#stage = "live";
        this.#calls.opened();
        this.#emit(event);
        break;
      case "subscribed":
      case "unsubscribed":
        this.#answered(event);
        break;
      case "settled":
        this.#settled(event);
        break;
      case "denied":
        this.#phase = "later";
        // One that is refused again is no news.
        if (this.#roster.denied(event.kind, event.name, event.error)) this.#emit(event);
        this.#calls.look(event.kind, event.name);
        this.#retryLater();
        break;
      case "revoked":
        // One server has nowhere else to go: a new connection asks it again, and tells what may be missing.
        this.#line.abort("The server took a shard channel away");
        break;
      case "unknown-push":
        this.unknownPushes++;
        break;
      case "synced":
        this.#ready();
    }
  }

  /** A private channel comes to rest: the canary's, or a fence, of which the move knows. */
  #overhear(event: OtherEvent & KindedName): void {
    if (event.name !== this.#canary?.channel || this.#state !== "running") return;
    if (event.type === "subscribed") this.#canary.start();
    else if (event.type === "denied") this.#canary.refused(event.error);
  }

  #ready(): void {
    if (this.#stage === "ready" || this.#state !== "running") return;
    this.#stage = "ready";
    this.#failures = 0;
    this.#readied++;
    this.#emit({ type: "ready" });
    this.#recover();
  }

  /** What was lost is there again, but for names that are denied; or one of those is, or is wanted no longer. */
  #recover(by?: "denied", regained?: KindedName): void {
    if (this.#lostSince === undefined || this.#stage !== "ready") return;
    const denied = this.#roster.denials();
    this.#listener.recovered(this.#lostSince, denied, [...this.#lostBy, ...by === undefined ? [] : [by]], regained);
    // A name that is denied goes on losing.
    if (denied.length > 0) return;
    this.#lostSince = undefined;
    this.#lostBy.clear();
  }

  #answered({ type, kind, name, isAtRest }: Extract<OtherEvent, { type: "subscribed" | "unsubscribed" }>): void {
    this.#phase = "later";
    const regained = this.#roster.answered(kind, name);
    this.#emit({ type, kind, name });
    this.#calls.look(kind, name, isAtRest ? "settled" : undefined);
    if (regained) this.#recover("denied", { kind, name });
  }

  /** The same of names in a row; nearly always nobody hears of it but a call that waits. */
  #settled({ did: type, kind, places, from, to }: Settled): void {
    if (this.#canary !== undefined || this.#listener.hearsEvents() || this.#roster.hasDenials) {
      for (const { name } of places.slice(from, to)) {
        const event = { type, kind, name, isAtRest: true };
        if (isPrivate(name)) this.#overhear(event);
        else this.#answered(event);
      }
    } else {
      this.#phase = "later";
      this.#calls.settled(places, from, to);
    }
  }

  /** The names that are refused are asked for again, in a while. */
  #retryLater(): void {
    const { deniedRetryMs, link } = this.#options;
    if (this.#retry !== undefined || deniedRetryMs === Infinity || !this.#roster.hasDenials) return;
    this.#retry = link.clock.after(deniedRetryMs, () => {
      this.#retry = undefined;
      for (const { kind, name } of this.#roster.denials()) this.#line.sync(kind, name);
    });
  }

  /** What a connection had may be missing from now on. */
  #lost({ heardUntil, subscriptions }: Lost, reason: LossReason): void {
    if (subscriptions === undefined || !this.#listener.lost(heardUntil, subscriptions, reason)) return;
    this.#lostSince ??= heardUntil;
    this.#lostBy.add(reason);
  }

  /** Another connection has taken the place of `old`, by a planned move. */
  #moved(old: Connection, denials: Denials, how: "whole" | "lossy"): void {
    if (how === "lossy") this.#lost(old, "migration");
    const { events, refused } = this.#roster.taken(old.subscriptions!, this.#line.connection!.subscriptions!, denials);
    this.#lost({ heardUntil: old.heardUntil, subscriptions: refused }, "migration");
    for (const event of events) this.#emit(event);
    if (this.#stage === "ready") this.#readied--; // it is none of the reconnections
    this.#stage = "opening";
    this.#ready();
    this.#retryLater();
    // What was asked for meanwhile may already be so there.
    this.#calls.lookAtAll();
    // What it sang meanwhile is of the old one.
    this.#canary?.stop();
    for (const event of denials) if (isPrivate(event.name)) this.#overhear(event);
    if (this.#canary !== undefined && this.#roster.has("channel", this.#canary.channel)) this.#canary.start();
  }

  /** The first connection failed: the callers are told, and nothing is left behind. */
  #abandon(cause: RedisError): void {
    this.#state = "idle";
    this.#phase = "first";
    this.#failures = 0;
    this.#roster.desired.clear();
    this.#listener.abandoned(cause);
    this.#calls.end(cause);
  }

  /** No further attempt will be made. */
  #fail(cause: RedisError): void {
    this.#state = "closed";
    this.#roster.desired.clear();
    this.#listener.failed(cause);
    this.#calls.end(cause);
    this.#emit({ type: "closed" });
  }

  #emit(event: ClientEventBody): void {
    this.#listener.event(event, this.#line.endpoint);
  }
}
