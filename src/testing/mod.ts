/**
 * A Redis Pub/Sub server for tests, in this process: it speaks the real wire, RESP2 and RESP3, over memory or over a
 * real socket, and it fails on command.
 *
 * @example
 * ```ts
 * import { Client } from "@earshot/redis";
 * import { TestBroker } from "@earshot/redis/testing";
 *
 * await using broker = new TestBroker();
 * await using redis = new Client({ dial: broker.dial });
 * await using news = await redis.subscribe("news");
 * broker.publish("news", "hello");
 * for await (const { payload } of news) {
 *   console.log(payload); // hello
 *   break;
 * }
 * ```
 *
 * @module
 */

import { Broker, type BrokerOptions, type PushItem, type RefuseOptions } from "../broker/broker.ts";
import { endpointText } from "../endpoint.ts";
import { ConnectionError } from "../errors.ts";
import { memoryPair } from "../transport/memory.ts";
import type { Dial, Transport } from "../transport/transport.ts";
import { CommandLog } from "./command_log.ts";
import { listenInFront, type TestListener, type TestListenOptions } from "./listener.ts";
import { type Faults, Pump } from "./pump.ts";

export type { BrokerOptions, PushItem, RefuseOptions } from "../broker/broker.ts";
export type { Endpoint, TlsOptions } from "../endpoint.ts";
export type { Listener } from "../transport/listen.ts";
export type { Dial, DialOptions, Transport } from "../transport/transport.ts";
export type { TestListener, TestListenOptions } from "./listener.ts";

/** Options of a {@linkcode TestBroker}. */
export interface TestBrokerOptions extends BrokerOptions {
  /**
   * A client that lets more bytes than this wait for it is cut off with no word, as the hard limit of Redis's
   * `client-output-buffer-limit pubsub` does. What the connection itself takes does not count.
   *
   * @default {33_554_432}
   */
  outputLimitBytes?: number;
}

/**
 * A Pub/Sub server in this process. It knows what a subscriber and a publisher need: HELLO, AUTH, PING, the SUBSCRIBE and
 * PUBLISH families, PUBSUB, CLIENT, RESET, QUIT and a few more, and answers them as Redis 7.2 does. Each connection
 * starts in RESP2.
 *
 * Every fault is for all connections, those over memory and those over sockets, also those that are made later.
 *
 * @example Lose the connection
 * ```ts
 * import { Client } from "@earshot/redis";
 * import { TestBroker } from "@earshot/redis/testing";
 *
 * await using broker = new TestBroker();
 * await using redis = new Client({ dial: broker.dial });
 * await using news = await redis.subscribe("news");
 * broker.disconnectAll();
 * await news.synced();
 * broker.publish("news", "after");
 * for await (const { payload, gap } of news) {
 *   console.log(payload, gap?.reasons); // after [ "reconnect" ]
 *   break;
 * }
 * ```
 */
export class TestBroker implements AsyncDisposable {
  /**
   * Connects over memory, whatever the endpoint. It is bound: pass it on as it is.
   *
   * @throws {ConnectionError} after {@linkcode TestBroker.refuseConnections} or {@linkcode TestBroker.close}
   *
   * @example
   * ```ts
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker();
   * const signal = AbortSignal.timeout(1_000);
   * const transport = await broker.dial({ host: "any", port: 6379 }, { signal });
   * await transport.write(new TextEncoder().encode("PING\r\n"));
   * console.log(new TextDecoder().decode(await transport.read())); // +PONG
   * transport.close();
   * ```
   */
  readonly dial: Dial;
  readonly #broker: Broker;
  readonly #faults: Faults = { flow: "flowing", pieceBytes: Infinity };
  readonly #log: CommandLog = new CommandLog();
  readonly #outputLimitBytes: number;
  readonly #pumps: Set<Pump> = new Set();
  readonly #listeners: Set<TestListener> = new Set();
  #state: "accepting" | "refusing" | "closed" = "accepting";
  #closing: Promise<void> | undefined;

  /**
   * Makes a broker that nobody is connected to. No I/O.
   *
   * @throws {RangeError} when `protocol` is not 2 or 3, or `outputLimitBytes` not a positive number
   *
   * @example A server that knows RESP2 only, and asks for a password
   * ```ts
   * import { Client } from "@earshot/redis";
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker({ protocol: 2, password: "sesame" });
   * await using redis = new Client({ dial: broker.dial, password: "sesame" });
   * console.log(await redis.publish("news", "hello")); // 0
   * ```
   */
  constructor(options: TestBrokerOptions = {}) {
    const { outputLimitBytes = 33_554_432, ...rest } = options;
    if (!(outputLimitBytes > 0)) {
      throw new RangeError(`Cannot make a broker: outputLimitBytes must be a positive number: ${outputLimitBytes}`);
    }
    this.#outputLimitBytes = outputLimitBytes;
    this.#broker = new Broker(rest);
    this.dial = async (endpoint, { signal }) => {
      await Promise.resolve(signal.throwIfAborted());
      if (this.#state !== "accepting") {
        const text = endpointText(endpoint);
        const reason = this.#state === "closed" ? "the test broker is closed" : "the test broker refuses connections";
        throw new ConnectionError(`Cannot connect to ${text}: ${reason}`, { endpoint: text });
      }
      const [near, far] = memoryPair();
      this.#accept(far, "memory");
      return near;
    };
  }

  /**
   * Publishes, as if some client had sent PUBLISH; returns how many subscriptions get the message.
   *
   * @example
   * ```ts
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker();
   * console.log(broker.publish("news", "hello")); // 0, since nobody is subscribed
   * ```
   */
  publish(channel: string | Uint8Array, payload: string | Uint8Array): number {
    return this.#broker.publish("channel", channel, payload);
  }

  /** Publishes to a shard channel, as if some client had sent SPUBLISH; returns how many subscriptions get the message. */
  spublish(channel: string | Uint8Array, payload: string | Uint8Array): number {
    return this.#broker.publish("shard", channel, payload);
  }

  /**
   * Takes a shard channel away from all its subscribers with a `sunsubscribe` that they did not ask for, as Redis does when
   * the slot of the channel moves to another node; returns how many there were.
   *
   * @example
   * ```ts
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker();
   * broker.refuse("SSUBSCRIBE", "MOVED 5061 127.0.0.1:7001", { name: "orders" });
   * console.log(broker.revoke("orders")); // 0, since nobody is subscribed
   * ```
   */
  revoke(shardChannel: string | Uint8Array): number {
    return this.#broker.revoke("shard", shardChannel);
  }

  /**
   * Sends a push to every connection that speaks RESP3, unasked, such as `push("MOVING", 1, 30, "10.0.0.2:6379")`, by which
   * Redis Enterprise announces that it moves; returns how many connections there are.
   */
  push(label: string, ...items: readonly PushItem[]): number {
    return this.#broker.push(label, ...items);
  }

  /** Ends every connection at once; what was not delivered yet is lost. New ones are welcome. */
  disconnectAll(): void {
    for (const pump of [...this.#pumps]) pump.drop();
  }

  /**
   * Plays dead: connections are made and stay open, and bytes are taken, but nothing is answered and nothing delivered. A
   * client cannot tell it from a peer behind a dead link, except by a deadline. Commands are heard, and logged, at the thaw.
   *
   * @example
   * ```ts
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker();
   * const transport = await broker.dial({ host: "any", port: 6379 }, { signal: AbortSignal.timeout(1_000) });
   * broker.freeze();
   * await transport.write(new TextEncoder().encode("PING\r\n"));
   * broker.thaw();
   * console.log(new TextDecoder().decode(await transport.read())); // +PONG
   * transport.close();
   * ```
   */
  freeze(): void {
    this.#faults.flow = "frozen";
  }

  /** Undoes {@linkcode TestBroker.freeze}: delivers what was held, and answers what was asked. */
  thaw(): void {
    this.#faults.flow = "flowing";
    for (const pump of [...this.#pumps]) pump.thaw();
  }

  /**
   * From now on a command, such as `"SUBSCRIBE"` or `"CLIENT SETNAME"`, known or not, is answered with `error`: one line,
   * its code first. With `options.name` only where it names that channel or pattern.
   *
   * @throws {TypeError} when `error` is not one line that starts with its code
   *
   * @example
   * ```ts
   * import { Client } from "@earshot/redis";
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker();
   * broker.refuse("SUBSCRIBE", "NOPERM this user has no permissions to access one of the channels used as arguments", {
   *   name: "secret",
   * });
   * await using redis = new Client({ dial: broker.dial });
   * await redis.subscribe("secret").catch((error: Error) => console.log(error.message));
   * ```
   */
  refuse(verb: string, error: string, options: RefuseOptions = {}): void {
    this.#broker.refuse(verb, error, options);
  }

  /** Undoes every {@linkcode TestBroker.refuse} of a command, with and without a name. */
  allow(verb: string): void {
    this.#broker.allow(verb);
  }

  /**
   * The server is down: {@linkcode TestBroker.dial} rejects with a `ConnectionError`, and a socket is closed as soon as it is
   * accepted. Connections that stand are left alone.
   */
  refuseConnections(): void {
    if (this.#state === "accepting") this.#state = "refusing";
  }

  /** Undoes {@linkcode TestBroker.refuseConnections}. */
  acceptConnections(): void {
    if (this.#state === "refusing") this.#state = "accepting";
  }

  /**
   * From now on, what goes to a client goes in pieces of that many bytes: each is one read over memory, and one segment,
   * if the network leaves it alone, over TCP. `Infinity` undoes it.
   *
   * @throws {RangeError} when it is no positive integer and not `Infinity`
   *
   * @example
   * ```ts
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker();
   * broker.splitWrites(1);
   * ```
   */
  splitWrites(bytes: number): void {
    if (bytes !== Infinity && !(Number.isSafeInteger(bytes) && bytes > 0)) {
      throw new RangeError(`Cannot split writes: bytes must be a positive integer or Infinity: ${bytes}`);
    }
    this.#faults.pieceBytes = bytes;
  }

  /**
   * The commands that clients have sent, the oldest first, each with its words as they came; a copy. Passwords, and users
   * beside them, are `***`. The last 10,000 commands or 1 MiB of text are kept, and 1,024 characters of each word.
   *
   * @example
   * ```ts
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker({ password: "sesame" });
   * const transport = await broker.dial({ host: "any", port: 6379 }, { signal: AbortSignal.timeout(1_000) });
   * await transport.write(new TextEncoder().encode("AUTH sesame\r\n"));
   * await transport.read();
   * console.log(broker.commands); // [ [ "AUTH", "***" ] ]
   * transport.close();
   * ```
   */
  get commands(): readonly (readonly string[])[] {
    return this.#log.list();
  }

  /** How many connections stand. */
  get connectionCount(): number {
    return this.#broker.connections.size;
  }

  /** How many connections are subscribed to a channel by its name. */
  subscriberCount(channel: string | Uint8Array): number {
    return this.#broker.subscriberCount("channel", channel);
  }

  /** How many connections are subscribed to a shard channel. */
  shardSubscriberCount(channel: string | Uint8Array): number {
    return this.#broker.subscriberCount("shard", channel);
  }

  /** How many different patterns are subscribed to. */
  patternCount(): number {
    return this.#broker.registry.size("pattern");
  }

  /**
   * Puts a real socket in front of this broker, for any client in any language; as many as you like. It is closed with the
   * broker.
   *
   * @throws {ConnectionError} when it cannot listen there, or the broker is closed
   *
   * @example
   * ```ts
   * import { Client } from "@earshot/redis";
   * import { TestBroker } from "@earshot/redis/testing";
   *
   * await using broker = new TestBroker();
   * await using listener = await broker.listen();
   * await using redis = new Client(listener.url);
   * console.log(await redis.publish("news", "hello")); // 0
   * ```
   */
  async listen(options: TestListenOptions = {}): Promise<TestListener> {
    if (this.#state === "closed") throw new ConnectionError("Cannot listen: the test broker is closed");
    const listener = await listenInFront({
      accept: (transport, origin) => this.#accept(transport, origin),
      onClosed: (closed) => this.#listeners.delete(closed),
    }, options);
    this.#listeners.add(listener);
    if (this.#closing === undefined) return listener;
    await listener.close();
    throw new ConnectionError("Cannot listen: the test broker was closed meanwhile");
  }

  /** Ends every connection and closes every socket; resolves when all is over. Idempotent, never rejects. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** The same as {@linkcode TestBroker.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#state = "closed";
    const ended = Array.from(this.#pumps, (pump) => pump.ended);
    const closed = Array.from(this.#listeners, (listener) => listener.close());
    this.disconnectAll();
    await Promise.all([...ended, ...closed]);
  }

  #accept(transport: Transport, origin: string): Pump | undefined {
    if (this.#state !== "accepting") {
      transport.close();
      return undefined;
    }
    const pump = new Pump(transport, this.#broker, {
      faults: this.#faults,
      outputLimitBytes: this.#outputLimitBytes,
      origin,
      onCommand: (words) => this.#log.add(words),
      onClosed: (pump) => this.#pumps.delete(pump),
    });
    this.#pumps.add(pump);
    return pump;
  }
}
