/**
 * Make before break: from a live connection to a new one, each message once and in order, though messages carry no number.
 *
 * 1. The new connection subscribes to everything while the old one delivers. What the new one hears is thrown away.
 * 2. Both also subscribe to a private channel, the fence. When all is acknowledged on both, one message is published there.
 *    A server executes one command after the other, and what it writes to a connection stays in order. So the fence stands
 *    between the same two messages on both: what is before it comes from the old connection, what is behind it from the new.
 * 3. Each connection stops reading at the fence. When both have reached it, the new one takes over. Until then nothing is
 *    lost: should the new one fail, the old one reads on.
 * 4. From the first moment at which the new one has everything, until the end, changes of what is wanted are held back, so
 *    that no name is subscribed before the fence on one connection and behind it on the other.
 * 5. Where there can be no fence (the server refuses it, or the connections are to servers that do not share it) the old
 *    connection leaves first, and the new one takes over behind the answer to a PING sent after that. That repeats nothing
 *    and may lose what came in between, which is told. So it is when the old connection dies while the fence is due.
 *
 * A PONG without the fence before it tells that the fence will not come, or only from afar: it has a little time left.
 *
 * @module
 */

import type { Connection } from "../connection/connection.ts";
import { type LinkOptions, openConnection } from "../connection/link.ts";
import { type Endpoint, endpointText } from "../endpoint.ts";
import { ConnectionError, RedisError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { privateChannel } from "../name.ts";
import type { SessionEvent } from "../protocol/push.ts";
import type { Desired } from "../protocol/subscriptions.ts";
import type { Reply } from "../resp/reply.ts";
import type { Run } from "../run/run.ts";
import type { KindedName } from "./calls.ts";

/** What a move is given. */
export interface MoveOptions {
  readonly old: Connection;
  readonly endpoint: Endpoint;
  /** With the credentials of the new connection. */
  readonly link: LinkOptions;
  readonly desired: Desired;
  /** How long the old connection may take to leave. */
  readonly closeTimeoutMs: number;
}

/** Whom a move tells. */
export interface MoveListener {
  /** `heard` has to be told of a message on this channel on the old connection, in its place; without it nobody. */
  listen(channel: string, heard?: () => void): void;
  /** The new connection takes over, and stands still. `lossy`: something may be missing. */
  taken(next: Connection, how: "whole" | "lossy"): void;
  /** The new connection, which has taken over, tells something. */
  hear(next: Connection, event: SessionEvent): void;
  /** There is no new connection. The old one may stand still, or be gone. */
  failed(cause: RedisError, old: "there" | "gone"): void;
}

type Denied = Extract<SessionEvent, { type: "denied" }>;

/** How long a fence may come after the PONG behind it, in milliseconds: from another server, by way of their link. */
const GRACE_MS = 1_000;

/** One move. */
export class Move {
  /** What the new connection speaks. */
  protocol: 2 | 3 = 2;
  /** What it was refused so far. */
  readonly denials: Denied[] = [];
  /** Names of which something else has come to be wanted meanwhile. */
  readonly held: KindedName[] = [];
  #options: MoveOptions;
  #listener: MoveListener;
  #fence: string;
  /**
   * `opening`: until everything was acknowledged once; `settling`: until nothing is on its way on either connection;
   * `fencing`; `leaving`: there is no fence, the old connection goes first; `crossing`: then the PONG of the new one.
   */
  #state: "opening" | "settling" | "fencing" | "leaving" | "crossing" | "over" = "opening";
  #old: "there" | "gone" = "there";
  /** `taken`: the new connection is no longer ours. */
  #way: "ours" | "taken" = "ours";
  #next: Connection | undefined;
  #publisher: Connection | undefined;
  /** Which connections stand at the fence. */
  #reached = new Set<Connection>();
  #probing: "not yet" | "sent" = "not yet";
  #abort = new AbortController();
  #timers: (() => void)[] = [];

  /** Sets out. */
  constructor(options: MoveOptions, listener: MoveListener) {
    const { old, desired, link: { clock } } = options;
    this.#options = options;
    this.#listener = listener;
    const word = () => Math.floor(clock.random() * 2 ** 52).toString(36);
    this.#fence = privateChannel(`${word()}${word()}`);
    desired.add("channel", this.#fence);
    listener.listen(this.#fence, () => this.#oldReached());
    old.sync("channel", this.#fence);
    void this.#open();
  }

  /** What is wanted of this name has changed. */
  sync(kind: Kind, name: string): void {
    if (this.#state !== "opening") return void this.held.push({ kind, name });
    this.#options.old.sync(kind, name);
    this.#next?.sync(kind, name);
  }

  /** A name came to rest on the old connection. */
  look(): void {
    if (this.#state !== "settling") return;
    const next = this.#next!;
    const [had, has] = [this.#options.old.subscriptions!, next.subscriptions!];
    for (const { kind, name } of this.held) {
      // Its acknowledgement was on its way, and then it was wanted again.
      if (had.state(kind, name) === "subscribed" && has.state(kind, name) === "absent") next.sync(kind, name);
    }
    if (had.unsettled > 0 || has.unsettled > 0) return;
    const stands = [had, has].every((side) => side.state("channel", this.#fence) === "subscribed");
    if (stands) this.#publish();
    else this.#leave();
  }

  /** The old connection has ended; true where the new one takes over. */
  oldEnded(): boolean {
    if (this.#state === "opening" || this.#state === "settling") this.cancel();
    if (this.#state === "over") return false;
    this.#old = "gone";
    if (this.#state === "leaving" || !this.#reached.has(this.#options.old)) this.#cross();
    return true;
  }

  /** Does it keep this connection from reading on? */
  holds(connection: Connection): boolean {
    return this.#reached.has(connection);
  }

  /** Gives up. */
  cancel(): void {
    const cause = new ConnectionError("it was given up");
    this.#fail(cause);
    this.#next?.abort(cause);
  }

  async #open(): Promise<void> {
    const { endpoint, link, desired } = this.#options;
    try {
      const next = await openConnection(endpoint, link, {
        signal: this.#abort.signal,
        desired,
        onEvent: (event) => this.#state === "over" ? this.#listener.hear(next, event) : this.#hear(event),
      });
      this.#next = next;
      // Given up in the very turn in which the socket opened.
      if (this.#state === "over") next.abort(new ConnectionError("it was given up"));
      next.start();
      const cause = await next.ended;
      if (this.#way !== "taken") next.subscriptions!.end();
      this.#fail(cause);
    } catch (error) {
      this.#fail(error instanceof RedisError ? error : new ConnectionError("Cannot move", { cause: error }));
    }
  }

  #hear(event: SessionEvent): void {
    switch (event.type) {
      case "connected":
        this.protocol = event.protocol;
        break;
      case "messages":
        this.#skip(event);
        break;
      case "denied":
        this.denials.push(event);
        this.look();
        break;
      case "revoked":
        this.#next!.abort(new ConnectionError("The server took a shard channel away"));
        break;
      case "synced":
        if (this.#state === "opening") this.#state = "settling";
        this.look();
        break;
      case "subscribed":
      case "unsubscribed":
      case "settled":
        this.look();
    }
  }

  /** Throws away what the new connection hears, up to the fence. */
  #skip(run: Run): void {
    while (run.taken < run.count) {
      const { kind, channel } = run.topic(run.taken++);
      if (this.#state === "fencing" && kind === "channel" && channel === this.#fence) return this.#reach(this.#next!);
    }
  }

  #oldReached(): void {
    if (this.#state === "fencing") this.#reach(this.#options.old);
  }

  #reach(connection: Connection): void {
    connection.pause();
    if (this.#reached.add(connection).size === 2) this.#finish("whole");
    // The answer to PUBLISH may stand behind the fence.
    else this.#probe();
  }

  #publish(): void {
    this.#state = "fencing";
    if (this.protocol === 3) this.#ask(this.#next!);
    else void this.#publishApart();
  }

  /** In RESP2 who subscribes cannot publish. */
  async #publishApart(): Promise<void> {
    const { endpoint, link } = this.#options;
    try {
      const publisher = await openConnection(endpoint, link, {
        signal: this.#abort.signal,
        onEvent: (event) => event.type === "connected" && this.#ask(publisher),
      });
      this.#publisher = publisher;
      publisher.start();
      await publisher.ended;
    } catch {
      // There is no fence: what comes of that is the same as of a refusal.
    }
    this.#published(undefined);
  }

  #ask(publisher: Connection): void {
    publisher.ask(["PUBLISH", this.#fence, ""], (reply) => this.#published(reply));
  }

  #published(reply: Reply | undefined): void {
    void this.#publisher?.quit(this.#options.closeTimeoutMs);
    if (this.#probing === "sent") return;
    if (reply?.type === "integer") this.#probe();
    else this.#leave();
  }

  /** It was published: whoever answers a PING before it tells of it is not going to tell of it soon. */
  #probe(): void {
    if (this.#state !== "fencing" || this.#probing === "sent") return;
    this.#probing = "sent";
    for (const side of [this.#options.old, this.#next!]) {
      if (this.#reached.has(side)) continue;
      side.ask(["PING"], (pong) => {
        if (pong !== undefined && this.#state === "fencing" && !this.#reached.has(side)) {
          this.#timers.push(this.#options.link.clock.after(GRACE_MS, () => this.#leave()));
        }
      });
    }
  }

  #leave(): void {
    if (this.#state !== "settling" && this.#state !== "fencing") return;
    this.#state = "leaving";
    // Its end brings us on.
    if (this.#old === "gone") this.#cross();
    else void this.#options.old.quit(this.#options.closeTimeoutMs);
  }

  #cross(): void {
    this.#state = "crossing";
    const next = this.#next!;
    next.resume();
    next.ask(["PING"], (pong) => {
      if (pong === undefined || this.#state !== "crossing") return;
      next.pause();
      this.#finish("lossy");
    });
  }

  #finish(how: "whole" | "lossy"): void {
    this.#end();
    this.#way = "taken";
    this.#listener.taken(this.#next!, how);
  }

  #fail(cause: RedisError): void {
    if (this.#state === "over") return;
    const endpoint = endpointText(this.#options.endpoint);
    this.#end();
    this.#listener.failed(
      new ConnectionError(`Cannot move to ${endpoint}: ${cause.message}`, { endpoint, cause }),
      this.#old,
    );
  }

  /** Takes the fence down. Whoever goes on lets go of its channel. */
  #end(): void {
    this.#state = "over";
    this.#abort.abort();
    for (const cancel of this.#timers) cancel();
    this.#publisher?.abort(new ConnectionError("The move is over"));
    this.#options.desired.delete("channel", this.#fence);
    this.held.push({ kind: "channel", name: this.#fence });
    this.#listener.listen(this.#fence);
  }
}
