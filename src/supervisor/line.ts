/**
 * The line to the server: one live connection at a time, seen from outside. Its credentials are renewed before they expire,
 * and another connection may take its place without a break; only an end that nothing could mend is the end of the line.
 *
 * @module
 */

import type { Connection } from "../connection/connection.ts";
import { type LinkOptions, openConnection } from "../connection/link.ts";
import { type MoveTarget, Upkeep } from "../connection/upkeep.ts";
import { type Endpoint, endpointText } from "../endpoint.ts";
import { ConnectionError, type RedisError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { isPrivate } from "../name.ts";
import type { OtherEvent, SessionEvent } from "../protocol/push.ts";
import type { Desired, Entry, Subscriptions } from "../protocol/subscriptions.ts";
import type { Run } from "../run/run.ts";
import type { KindedName } from "./calls.ts";
import { Move } from "./move.ts";
import type { Denials } from "./roster.ts";

/** What a line is given. */
export interface LineOptions {
  readonly link: LinkOptions;
  readonly desired: Desired;
  readonly closeTimeoutMs: number;
}

/** Whom a line tells. */
export interface LineListener {
  /** Messages came on the live connection. */
  messages(run: Run): void;
  /** It tells something else. */
  hear(event: OtherEvent): void;
  /** So it does of a private channel. */
  overhear(event: OtherEvent & KindedName): void;
  /** `heard` has to be told of a message on this channel, in its place; without it nobody. */
  listen(channel: string, heard?: () => void): void;
  /** The live connection is another one; `lossy`: something may be missing. `denials` is what the new one was refused. */
  moved(old: Connection, denials: Denials, how: "whole" | "lossy"): void;
  /** A renewal of the credentials, or a move, failed, and is tried again. */
  failed(error: RedisError): void;
}

/** What ended a line, or an attempt at one, and when, on the clock; without that: just now. */
export interface End {
  readonly cause: RedisError;
  readonly at?: number | undefined;
}

/** The line. */
export class Line {
  #options: LineOptions;
  #listener: LineListener;
  #connection: Connection | undefined;
  #endpoint: Endpoint | undefined;
  /** The same as text: each event carries it. */
  #place: string | undefined;
  /** What the consumers want of the reading of the socket. */
  #flow: "reading" | "paused" = "reading";
  #ended: (cause: RedisError) => void = () => {};
  #state: "open" | "settled" = "open";
  #upkeep: Upkeep | undefined;
  #move: Move | undefined;
  /** How the last move ended, after all before it; undefined: well. */
  #moved: Promise<RedisError | undefined> = Promise.resolve(undefined);
  /** Connections that were moved away from, until they are gone. */
  #retired = new Set<Promise<void>>();

  /** Is not connected. */
  constructor(options: LineOptions, listener: LineListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** The live connection. While another one is about to take its place it may have ended. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** What the server has confirmed on it; undefined where it has ended. */
  get confirmed(): Subscriptions | undefined {
    const connection = this.#connection;
    return connection?.hasEnded ? undefined : connection?.subscriptions;
  }

  /** Is another connection about to take its place? Changes of what is wanted are held back meanwhile. */
  get moves(): boolean {
    return this.#move !== undefined;
  }

  /** Where it goes, or went last. */
  get endpoint(): string | undefined {
    return this.#place;
  }

  /**
   * Connects, and resolves with what ended the line.
   *
   * @throws {RedisError} when no connection can be made
   */
  async open(endpoint: Endpoint, signal: AbortSignal): Promise<{ cause: RedisError; connection: Connection }> {
    this.#goTo(endpoint);
    const { link, desired } = this.#options;
    const connection = await openConnection(endpoint, link, {
      signal,
      desired,
      onEvent: (event) => this.#hear(connection, event),
    });
    this.#connection = connection;
    this.#flow = "reading";
    const ended = new Promise<RedisError>((resolve) => this.#ended = resolve);
    this.#watch(connection);
    // Closed in the very turn in which the socket opened.
    if (signal.aborted) connection.abort(new ConnectionError("Gave up connecting: it was closed"));
    else connection.start();
    const cause = await ended;
    const last = this.#connection;
    this.#connection = undefined;
    this.#upkeep?.stop();
    return { cause, connection: last };
  }

  /** What is wanted of this name has changed. */
  sync(kind: Kind, name: string): void {
    if (this.#move === undefined) this.#connection?.sync(kind, name);
    else this.#move.sync(kind, name);
  }

  /** The same of many names of one kind, which are wanted. */
  request(kind: Kind, entries: readonly Entry[]): void {
    if (this.#move === undefined) this.#connection?.request(kind, entries);
    else for (const { name } of entries) this.#move.sync(kind, name);
  }

  /** Ends the live connection, for that reason. */
  abort(why: string): void {
    this.#connection?.abort(new ConnectionError(why, { endpoint: this.#place }));
  }

  /** Asks the server whether it lives. */
  ping(answered: (sign: "alive" | "ended") => void): void {
    if (this.#connection === undefined) answered("ended");
    else this.#connection.ask(["PING"], (reply) => answered(reply === undefined ? "ended" : "alive"));
  }

  /** Stops reading, until {@linkcode resume}. A new line reads again. */
  pause(): void {
    this.#flow = "paused";
    this.#connection?.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#flow = "reading";
    // At a fence it stands until the move is over.
    if (this.#connection !== undefined && !this.#move?.holds(this.#connection)) this.#connection.resume();
  }

  /**
   * Makes a new connection, to another endpoint or with other credentials, and leaves the old one when nothing can be
   * missed any more. Gives what went wrong; then the old connection stays.
   */
  move(to: MoveTarget): Promise<RedisError | undefined> {
    return this.#moved = this.#moved.then(() => this.#moveTo(to));
  }

  /** Makes no further move, now and ever. */
  settle(): void {
    this.#state = "settled";
    this.#upkeep?.stop();
    this.#move?.cancel();
  }

  /** Resolves when every connection that was moved away from is gone. */
  async retired(): Promise<void> {
    await Promise.all(this.#retired);
  }

  #hear(connection: Connection, event: SessionEvent): void {
    const isLive = connection === this.#connection;
    if (event.type === "messages") {
      if (isLive) this.#listener.messages(event);
      else event.taken = event.count;
      return;
    }
    // One that was moved away from tells nothing new.
    if (!isLive) return;
    if (!("name" in event && isPrivate(event.name))) this.#listener.hear(event);
    else this.#listener.overhear(event);
    if (event.type === "connected") this.#keepUp(connection, event.protocol);
    if (event.type === "moving") this.#upkeep?.moving(event);
    this.#move?.look();
  }

  /** Waits for its end, unless another one takes its place. */
  #watch(connection: Connection): void {
    connection.ended.then((cause) => {
      if (this.#connection === connection && !this.#move?.oldEnded()) this.#ended(cause);
    });
  }

  #goTo(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    this.#place = endpointText(endpoint);
  }

  #keepUp(connection: Connection, protocol: 2 | 3): void {
    this.#upkeep?.stop();
    this.#upkeep = new Upkeep(connection, {
      link: this.#options.link,
      protocol,
      role: "subscriber",
      endpoint: this.#endpoint!,
      move: (to) => this.move(to),
      failed: (error) => this.#listener.failed(error),
    });
  }

  #moveTo({ endpoint = this.#endpoint, credentials }: MoveTarget): Promise<RedisError | undefined> {
    const old = this.#connection;
    if (old === undefined || endpoint === undefined || this.#state === "settled") {
      return Promise.resolve(new ConnectionError("Cannot move: there is no connection"));
    }
    const { link } = this.#options;
    return new Promise((resolve) => {
      const move: Move = new Move({
        ...this.#options,
        old,
        endpoint,
        link: credentials === undefined ? link : { ...link, credentials: () => Promise.resolve(credentials) },
      }, {
        listen: (channel, heard) => this.#listener.listen(channel, heard),
        hear: (next, event) => this.#hear(next, event),
        taken: (next, how) => {
          this.#goTo(endpoint);
          this.#take(move, old, next, how);
          resolve(undefined);
        },
        failed: (cause, left) => {
          this.#move = undefined;
          for (const { kind, name } of move.held) old.sync(kind, name);
          if (this.#flow === "reading") old.resume();
          resolve(cause);
          if (left === "gone") this.#ended(cause);
        },
      });
      this.#move = move;
    });
  }

  /** From now on the new connection of a move is the live one. */
  #take(move: Move, old: Connection, next: Connection, how: "whole" | "lossy"): void {
    this.#move = undefined;
    this.#connection = next;
    this.#watch(next);
    // Not within the run that stops at the fence: to leave is to read on.
    const leaving: Promise<void> = Promise.resolve().then(() => old.quit(this.#options.closeTimeoutMs))
      .then(() => {
        old.subscriptions!.end();
        this.#retired.delete(leaving);
      });
    this.#retired.add(leaving);
    for (const { kind, name } of move.held) next.sync(kind, name);
    this.#listener.hear({ type: "connected", protocol: move.protocol });
    this.#listener.moved(old, move.denials, how);
    this.#keepUp(next, move.protocol);
    if (this.#flow === "reading") next.resume();
  }
}
