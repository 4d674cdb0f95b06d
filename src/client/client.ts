/**
 * What users make first.
 *
 * @module
 */

import { type CallOptions, checkCall } from "../connection/wait.ts";
import { ConnectionError, ProtocolError, type RedisError } from "../errors.ts";
import type { Kind } from "../message.ts";
import { canonicalName, canonicalNames, decodeName, type Name, nameArgument, type Names } from "../name.ts";
import type { Reply } from "../resp/reply.ts";
import type { Argument } from "../resp/writer.ts";
import { standalone } from "../topology/standalone.ts";
import type { Topology } from "../topology/topology.ts";
import { Commands } from "./commands.ts";
import { Events } from "./events.ts";
import { type ClientOptions, type PubSubOptions, resolveOptions, type Settings } from "./options.ts";
import { PubSub } from "./pubsub.ts";

/**
 * A Redis or Valkey server, seen from a program that publishes and subscribes. Making one does no I/O: every subscriber
 * opens a connection of its own, and commands share one more, opened on first use.
 *
 * @example
 * ```ts
 * import { Client } from "@earshot/redis";
 * import { TestBroker } from "@earshot/redis/testing";
 *
 * await using broker = new TestBroker();
 * await using redis = new Client({ dial: broker.dial }); // or new Client("redis://localhost:6379")
 *
 * await using news = await redis.subscribe("news");
 * await redis.publish("news", "hello"); // 1, the number of receivers
 * for await (const { channel, payload, gap } of news) {
 *   if (gap) console.warn(`may have missed messages: ${gap.reasons}, ${gap.downMs} ms`);
 *   console.log(channel, payload); // news hello
 *   break;
 * }
 * ```
 */
export class Client implements AsyncDisposable {
  #settings: Settings;
  #topology: Topology;
  #commands: Commands;
  #pubsubs = new Set<PubSub<unknown>>();
  #closing: Promise<void> | undefined;

  /**
   * Takes a URL, or options, or both.
   *
   * @throws {TypeError} when the URL cannot be read, or an option is unknown, of the wrong type or contradicts another
   * @throws {RangeError} when a number is out of range
   */
  constructor(target?: string | URL | ClientOptions, options?: ClientOptions) {
    const settings = resolveOptions(target, options);
    this.#settings = settings.canary ? { ...settings, publish: this.#publishEmpty } : settings;
    this.#topology = standalone(this.#settings.endpoint);
    const { link, closeTimeoutMs, onEvent } = this.#settings;
    const events = new Events(link.clock, onEvent);
    const failed = (error: RedisError) => events.emit({ type: "error", error });
    this.#commands = new Commands(link, this.#topology, { closeTimeoutMs, failed });
  }

  /**
   * Subscribes to channels on a connection of its own (SUBSCRIBE); resolves when the server has acknowledged every one.
   *
   * @throws {ReplyError} when the server refuses one, such as `NOPERM`, or the password, as `WRONGPASS`
   * @throws {ConnectionError} when the server cannot be reached, unless `waitOnFirstConnect` is set
   */
  subscribe<T = string>(channels: Names, options: PubSubOptions<T> = {}): Promise<PubSub<T>> {
    return this.#open("channel", channels, options);
  }

  /** Subscribes to patterns (PSUBSCRIBE), as {@linkcode subscribe} does to channels. */
  psubscribe<T = string>(patterns: Names, options: PubSubOptions<T> = {}): Promise<PubSub<T>> {
    return this.#open("pattern", patterns, options);
  }

  /** Subscribes to shard channels (SSUBSCRIBE, Redis 7.0 and later), as {@linkcode subscribe} does to channels. */
  ssubscribe<T = string>(channels: Names, options: PubSubOptions<T> = {}): Promise<PubSub<T>> {
    return this.#open("shard", channels, options);
  }

  /**
   * A subscriber that is subscribed to nothing yet; it connects when a name is first wanted.
   *
   * @throws {ConnectionError} when the client is closed
   */
  pubsub<T = string>(options: PubSubOptions<T> = {}): PubSub<T> {
    if (this.#closing !== undefined) throw new ConnectionError("Cannot subscribe: the client is closed");
    const pubsub: PubSub<T> = new PubSub(this.#settings, this.#topology, options, () => this.#pubsubs.delete(pubsub));
    this.#pubsubs.add(pubsub);
    return pubsub;
  }

  /**
   * Publishes a message (PUBLISH); gives the number of subscribers that got it from this server.
   *
   * @throws {ConnectionError} when the server cannot be reached, or the connection breaks before the answer
   */
  publish(channel: Name, payload: string | Uint8Array, options: CallOptions = {}): Promise<number> {
    return this.#publish("PUBLISH", channel, payload, options);
  }

  /** Publishes a message to a shard channel (SPUBLISH, Redis 7.0 and later), as {@linkcode publish} does. */
  spublish(channel: Name, payload: string | Uint8Array, options: CallOptions = {}): Promise<number> {
    return this.#publish("SPUBLISH", channel, payload, options);
  }

  /**
   * Sends any other command that has one answer, such as `["INCR", "visits"]`.
   *
   * @throws {ReplyError} when the server refuses it
   * @throws {ConnectionError} when the server cannot be reached, or the connection breaks before the answer
   * @throws {TypeError} when it is a command that has no one answer, such as SUBSCRIBE or MONITOR
   */
  command(args: readonly (string | number | Uint8Array)[], options: CallOptions = {}): Promise<Reply> {
    return this.#commands.send(args, options);
  }

  /** The channels that have subscribers, or those that match `pattern` (PUBSUB CHANNELS). */
  channels(pattern?: string): Promise<string[]> {
    return this.#names("CHANNELS", pattern);
  }

  /** The shard channels that have subscribers, or those that match `pattern` (PUBSUB SHARDCHANNELS). */
  shardChannels(pattern?: string): Promise<string[]> {
    return this.#names("SHARDCHANNELS", pattern);
  }

  /** How many subscribers each channel has; those of patterns do not count (PUBSUB NUMSUB). */
  subscriberCount(channels: Names): Promise<Map<string, number>> {
    return this.#counts("NUMSUB", channels);
  }

  /** How many subscribers each shard channel has (PUBSUB SHARDNUMSUB). */
  shardSubscriberCount(channels: Names): Promise<Map<string, number>> {
    return this.#counts("SHARDNUMSUB", channels);
  }

  /** How many different patterns are subscribed to (PUBSUB NUMPAT). */
  patternCount(): Promise<number> {
    return this.#count(["PUBSUB", "NUMPAT"], {});
  }

  /** Closes every subscriber made from it, answers the commands that are on their way, and closes. Idempotent, never rejects. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** As {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.all([this.#commands.close(), ...[...this.#pubsubs].map((pubsub) => pubsub.close())]);
  }

  async #open<T>(kind: Kind, names: Names, options: PubSubOptions<T>): Promise<PubSub<T>> {
    const { signal } = options;
    checkCall({ signal });
    signal?.throwIfAborted();
    const pubsub = this.pubsub(options);
    try {
      if (kind === "channel") await pubsub.subscribe(names, { signal });
      else if (kind === "pattern") await pubsub.psubscribe(names, { signal });
      else await pubsub.ssubscribe(names, { signal });
      return pubsub;
    } catch (error) {
      await pubsub.close();
      throw error;
    }
  }

  #publish(verb: string, channel: Name, payload: string | Uint8Array, options: CallOptions): Promise<number> {
    try {
      return this.#commands.send([verb, argumentOf(channel), payload], options).then(integerOf);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #publishEmpty = (channel: string, timeoutMs: number): Promise<Reply> =>
    this.#commands.send(["PUBLISH", channel, ""], { timeoutMs });

  async #count(args: readonly Argument[], options: CallOptions): Promise<number> {
    return integerOf(await this.#commands.send(args, options));
  }

  async #names(subcommand: string, pattern: string | undefined): Promise<string[]> {
    const args = ["PUBSUB", subcommand, ...pattern === undefined ? [] : [argumentOf(pattern)]];
    return itemsOf(await this.#commands.send(args, {})).map(nameOf);
  }

  async #counts(subcommand: string, channels: Names): Promise<Map<string, number>> {
    const names = canonicalNames(channels).map(nameArgument);
    const items = itemsOf(await this.#commands.send(["PUBSUB", subcommand, ...names], {}));
    const counts = new Map<string, number>();
    for (let i = 0; i + 1 < items.length; i += 2) counts.set(nameOf(items[i]!), integerOf(items[i + 1]!));
    return counts;
  }
}

function argumentOf(name: Name): string | Uint8Array {
  return name instanceof Uint8Array ? name : nameArgument(canonicalName(name));
}

function integerOf(reply: Reply): number {
  if (reply.type !== "integer") {
    throw new ProtocolError(`The server answered with something else than a number: ${reply.type}`);
  }
  return Number(reply.value);
}

function nameOf(reply: Reply): string {
  if (reply.type !== "bulk-string") {
    throw new ProtocolError(`The server answered with something else than a name: ${reply.type}`);
  }
  return decodeName(reply.value);
}

/** The elements of an array; a map, as some servers answer NUMSUB in RESP3, lies flat. */
function itemsOf(reply: Reply): readonly Reply[] {
  if (reply.type === "map") return reply.value.flat();
  if (reply.type === "array" || reply.type === "set") return reply.value;
  throw new ProtocolError(`The server answered with something else than a list: ${reply.type}`);
}
