/**
 * A Pub/Sub server without a socket: bytes in, bytes out, at once. It speaks RESP2 and RESP3 as Redis 7.2 does.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { KINDS } from "../protocol/kind.ts";
import { canonicalName, encodeName, type Name } from "../name.ts";
import type { Reply } from "../resp/reply.ts";
import { concat, encodeReply } from "../resp/writer.ts";
import { canonicalKey, execute, maskedWords } from "./commands.ts";
import { acknowledgement, bulk, Push, Registry, type Subscriber, subscriptionCount } from "./registry.ts";
import { Requests } from "./request.ts";

/** Options of a broker. */
export interface BrokerOptions {
  /**
   * Users and their passwords. Where any is given, a connection must authenticate first; the user `default` is then
   * off unless it is one of them.
   *
   * @default {{}}
   */
  users?: Readonly<Record<string, string>>;
  /** The password of the user `default`, as Redis's `requirepass`. @default {undefined} no password */
  password?: string;
  /** The newest dialect it knows. With 2, HELLO is an unknown command, as on Redis 5. @default {3} */
  protocol?: 2 | 3;
  /** The version of Redis that it claims to be. @default {"7.2.6"} */
  version?: string;
}

/** Options of {@linkcode Broker.refuse}. */
export interface RefuseOptions {
  /** Refuse the command only where it names this channel or pattern; then all of the command is refused, as Redis does. */
  name?: string | Uint8Array;
}

/** Where a connection's bytes go. Its functions are called in order and must not throw. */
export interface Sink {
  /** Takes bytes for the client. They may be shared with other connections, so they must not be written to. */
  write(bytes: Uint8Array): void;
  /** The broker ends the connection, after all that it has written. */
  close(): void;
  /** Hears of every command before it is carried out; credentials are masked with `***`. */
  command?(words: readonly string[]): void;
}

/** Options of {@linkcode Broker.connect}. */
export interface ConnectOptions {
  /** Where the client comes from: the first part of its `addr` in CLIENT LIST; its id is the second. @default {"memory"} */
  origin?: string;
}

/** An element of a push: text or bytes as a bulk string, a whole number as an integer, or null. */
export type PushItem = string | Uint8Array | number | null;

const encoder = new TextEncoder();

function pushItem(item: PushItem): Reply {
  if (item === null) return { type: "null", value: null };
  if (typeof item === "number") return { type: "integer", value: item };
  return bulk(typeof item === "string" ? encoder.encode(item) : item);
}

/** The server. */
export class Broker {
  /** The newest dialect it knows. */
  readonly protocol: 2 | 3;
  /** The version that it claims to be. */
  readonly version: string;
  /** Who is subscribed to what. */
  readonly registry: Registry = new Registry();
  /** Every connection, by its id. */
  readonly connections: Map<number, BrokerConnection> = new Map();
  readonly #passwords: Map<string, string>;
  readonly #refusals: Map<string, { all: string | undefined; byName: Map<string, string> }> = new Map();
  readonly #unsent: Set<BrokerConnection> = new Set();
  #lastId = 0;

  /** Makes a broker with nobody connected. */
  constructor(options: BrokerOptions = {}) {
    const { users = {}, password, protocol = 3, version = "7.2.6" } = options;
    if (protocol !== 2 && protocol !== 3) {
      throw new RangeError(`Cannot make a broker: protocol must be 2 or 3: ${protocol}`);
    }
    this.protocol = protocol;
    this.version = version;
    this.#passwords = new Map(Object.entries(users));
    if (password !== undefined) this.#passwords.set("default", password);
  }

  /** A client connects; what the broker has to say to it goes to `sink`. */
  connect(sink: Sink, options: ConnectOptions = {}): BrokerConnection {
    const id = ++this.#lastId;
    const connection = new BrokerConnection(this, sink, { id, address: `${options.origin ?? "memory"}:${id}` });
    this.connections.set(id, connection);
    return connection;
  }

  /** Publishes to a channel, or to a shard channel; returns how many subscriptions get the message. */
  publish(kind: "channel" | "shard", channel: Name, payload: string | Uint8Array): number {
    const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
    const deliveries = this.registry.deliveries(kind, encodeName(canonicalName(channel)), bytes);
    for (const { to, push } of deliveries) push.sendTo(to);
    this.flush();
    return deliveries.length;
  }

  /** Sends a push to every connection that speaks RESP3, unasked; returns how many there are. */
  push(label: string, ...items: readonly PushItem[]): number {
    const push = new Push([label, ...items].map(pushItem));
    const connections = [...this.connections.values()].filter(({ protocol }) => protocol === 3);
    for (const connection of connections) push.sendTo(connection);
    this.flush();
    return connections.length;
  }

  /** How many connections are subscribed to a name. */
  subscriberCount(kind: Kind, name: Name): number {
    return this.registry.subscribers(kind, canonicalName(name)).size;
  }

  /**
   * Takes a name away from all its subscribers, and tells them, as Redis does for the shard channels of a slot that moves
   * to another node; returns how many there were.
   *
   * @throws {TypeError} when no server ever takes away names of this kind
   */
  revoke(kind: Kind, name: Name): number {
    const { revocable, unsubscribed } = KINDS[kind];
    if (!revocable) throw new TypeError(`Cannot revoke a subscription of this kind: ${kind}`);
    const key = canonicalName(name);
    const subscribers = [...this.registry.subscribers(kind, key)];
    for (const subscriber of subscribers) {
      this.registry.remove(kind, key, subscriber);
      acknowledgement(unsubscribed, encodeName(key), subscriptionCount(subscriber, kind)).sendTo(subscriber);
    }
    this.flush();
    return subscribers.length;
  }

  /**
   * From now on a command, such as `"SUBSCRIBE"` or `"CLIENT SETNAME"`, known or not, is answered with `error`.
   *
   * @throws {TypeError} when `error` is not one line with its code first
   */
  refuse(verb: string, error: string, options: RefuseOptions = {}): void {
    if (!/^[A-Z]\S*( .*)?$/.test(error)) {
      throw new TypeError(`An error must be one line that starts with its code: ${JSON.stringify(error)}`);
    }
    const key = canonicalKey(verb);
    const refusal = this.#refusals.get(key) ?? { all: undefined, byName: new Map<string, string>() };
    if (options.name === undefined) refusal.all = error;
    else refusal.byName.set(canonicalName(options.name), error);
    this.#refusals.set(key, refusal);
  }

  /** Undoes every {@linkcode refuse} of a command. */
  allow(verb: string): void {
    this.#refusals.delete(canonicalKey(verb));
  }

  /** The error with which a command is to be answered, if any; `key` is `VERB` or `VERB|SUBCOMMAND`. */
  refusal(key: string, names: readonly string[]): string | undefined {
    const verb = key.split("|", 1)[0]!;
    for (const refusal of [this.#refusals.get(key), this.#refusals.get(verb)]) {
      if (refusal === undefined) continue;
      const name = names.find((name) => refusal.byName.has(name));
      const error = name === undefined ? refusal.all : refusal.byName.get(name);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  /** Does this user have to give a password? */
  hasPassword(user: string): boolean {
    return this.#passwords.size > 0 || user !== "default";
  }

  /** The user as whom a connection starts; `undefined` where it must authenticate first. */
  initialUser(): string | undefined {
    return this.hasPassword("default") ? undefined : "default";
  }

  /** The user, if the password is right. */
  authenticate(user: string, password: string): string | undefined {
    return !this.hasPassword(user) || this.#passwords.get(user) === password ? user : undefined;
  }

  /** Notes that a connection has something to send. */
  unsent(connection: BrokerConnection): void {
    this.#unsent.add(connection);
  }

  /** Sends what is to be sent: to each connection at most one write. */
  flush(): void {
    for (const connection of this.#unsent) {
      this.#unsent.delete(connection);
      connection.flush();
    }
  }
}

/** One client, as the server sees it. */
export class BrokerConnection implements Subscriber {
  /** Counts connections from 1. */
  readonly id: number;
  /** What CLIENT LIST shows as `addr`. */
  readonly address: string;
  /** What it is subscribed to. */
  readonly names: Readonly<Record<Kind, Set<string>>> = { channel: new Set(), pattern: new Set(), shard: new Set() };
  /** What CLIENT SETINFO said. */
  readonly library: { "lib-name": string; "lib-ver": string } = { "lib-name": "", "lib-ver": "" };
  /** The dialect that HELLO chose. */
  protocol: 2 | 3 = 2;
  /** What CLIENT SETNAME said; empty for none. */
  name = "";
  /** As whom it is authenticated; `undefined` where it must do so first. */
  user: string | undefined;
  /** What SELECT said. */
  database = 0;
  /** The last command, in lower case; empty before the first. */
  lastCommand = "";
  readonly #broker: Broker;
  readonly #sink: Sink;
  readonly #requests: Requests = new Requests();
  #output: Uint8Array[] = [];
  #state: "open" | "ending" | "closed" = "open";

  /** Use {@linkcode Broker.connect}. */
  constructor(broker: Broker, sink: Sink, identity: { id: number; address: string }) {
    this.#broker = broker;
    this.#sink = sink;
    ({ id: this.id, address: this.address } = identity);
    this.user = broker.initialUser();
  }

  /** Takes bytes from the client, and owns them. When it returns, everything they lead to has been written. */
  receive(chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    try {
      this.#requests.feed(chunk);
      this.#executeAll();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.error(`ERR Protocol error: ${error.message}`);
      this.end();
    }
    this.#broker.flush();
  }

  /** The client is gone: forgets the connection. Idempotent. */
  closed(): void {
    this.#state = "closed";
    this.#output = [];
    this.#forget();
  }

  /** Answers a command. */
  reply(reply: Reply): void {
    this.send(encodeReply(reply, this.protocol));
  }

  /** Answers a command with an error: one line, its code first. */
  error(text: string): void {
    this.reply({ type: "simple-error", value: text.replace(/[\r\n]/g, " ") });
  }

  /** Queues bytes that are whole replies or pushes until the next {@linkcode flush}. */
  send(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#output.push(bytes);
    this.#broker.unsent(this);
  }

  /** Ends the connection once what is queued has been written. Idempotent. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#forget();
    this.#broker.unsent(this);
  }

  /** Back to how it was at its start, its id apart; subscriptions go without a word. */
  reset(): void {
    this.#broker.registry.removeAll(this);
    this.protocol = 2;
    this.name = "";
    this.database = 0;
    this.user = this.#broker.initialUser();
  }

  /** Writes what is queued, in one piece. */
  flush(): void {
    const output = this.#output;
    const ends = this.#state === "ending";
    this.#output = [];
    if (ends) this.#state = "closed";
    if (output.length > 0) this.#sink.write(output.length === 1 ? output[0]! : concat(output));
    if (ends) this.#sink.close();
  }

  #executeAll(): void {
    while (this.#state === "open") {
      const words = this.#requests.next();
      if (words === undefined) return;
      this.#sink.command?.(maskedWords(words));
      execute(this.#broker, this, words);
    }
  }

  #forget(): void {
    this.#broker.registry.removeAll(this);
    this.#broker.connections.delete(this.id);
  }
}
