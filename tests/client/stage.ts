/** Where the tests of the public API stand: a broker in memory, a client of it, and all that the client tells. */

import { Client, type ClientEvent, type ClientOptions, type Message, type PubSub, type Reply } from "@earshot/redis";
import { TestBroker, type TestBrokerOptions } from "@earshot/redis/testing";
import { assertEquals } from "@std/assert";
import { deadline } from "@std/async";
import process from "node:process";
import { test } from "../support/test.ts";
import { turn } from "../support/turn.ts";
import { until } from "../support/until.ts";

/** Attempts follow each other as fast as timers go. */
export const AT_ONCE = { initialDelayMs: 1, maxDelayMs: 1, jitter: 0 };
/** How long anything may take that has to happen, in milliseconds. */
const PATIENCE_MS = 10_000;

export class Stage {
  readonly broker: TestBroker;
  /** The dialect that the broker knows. */
  readonly protocol: 2 | 3;
  /** Every event of every client, in order. */
  readonly events: ClientEvent[] = [];
  /** What the clients wrote, one entry for each write. */
  readonly writes: Uint8Array[] = [];
  #clients: Client[] = [];

  constructor(protocol: 2 | 3, options: TestBrokerOptions) {
    this.protocol = protocol;
    this.broker = new TestBroker({ protocol, ...options });
  }

  /** A client of the broker. */
  readonly client = (options: ClientOptions = {}): Client => {
    const client = new Client({
      dial: async (endpoint, dialOptions) => {
        const transport = await this.broker.dial(endpoint, dialOptions);
        return {
          read: (room) => transport.read(room),
          write: (bytes) => {
            this.writes.push(bytes);
            return transport.write(bytes);
          },
          close: () => transport.close(),
        };
      },
      reconnect: AT_ONCE,
      ...options,
      onEvent: (event) => {
        this.events.push(event);
        return options.onEvent?.(event);
      },
    });
    this.#clients.push(client);
    return client;
  };

  /** The events of one type. */
  heard<T extends ClientEvent["type"]>(type: T): Extract<ClientEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<ClientEvent, { type: T }> => event.type === type);
  }

  /** Waits for the `count`th event of this type. */
  async hears(type: ClientEvent["type"], count = 1): Promise<void> {
    await until(`event ${type}`, PATIENCE_MS, () => this.heard(type).length >= count);
  }

  /** Loses every connection, and waits until all that was wanted stands again. */
  async blink(pubsub: PubSub<unknown>): Promise<void> {
    const ready = this.heard("ready").length;
    this.broker.disconnectAll();
    await this.hears("ready", ready + 1);
    await pubsub.synced();
  }

  /** The commands with one of these verbs, as lines. */
  sent(...verbs: string[]): string[] {
    return this.broker.commands.filter(([verb]) => verbs.includes(verb!)).map((words) => words.join(" "));
  }

  /** Closes the clients; nothing may be left of them. */
  async end(): Promise<void> {
    this.broker.thaw();
    await Promise.all(this.#clients.map((client) => client.close()));
    await turn();
    assertEquals(this.broker.connectionCount, 0, "a connection is left");
    await this.broker.close();
  }
}

/** Registers a test for a broker that speaks RESP3, and one for a broker that knows RESP2 only. */
export function onStage(name: string, body: (stage: Stage) => Promise<void>, options: TestBrokerOptions = {}): void {
  for (const protocol of [3, 2] as const) {
    test(`${name}: RESP${protocol}`, async () => {
      const unhandled: unknown[] = [];
      const hear = (reason: unknown) => void unhandled.push(reason);
      process.on("unhandledRejection", hear);
      const stage = new Stage(protocol, options);
      try {
        await deadline(body(stage), PATIENCE_MS);
        await stage.end();
        await turn();
        assertEquals(unhandled, []);
      } finally {
        await stage.broker.close();
        process.off("unhandledRejection", hear);
      }
    });
  }
}

/** The next `count` messages; the consumer may go on after them. */
export async function take<T>(pubsub: PubSub<T>, count: number): Promise<Message<T>[]> {
  const messages: Message<T>[] = [];
  const reader = pubsub.readable.getReader();
  while (messages.length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    messages.push(value);
  }
  reader.releaseLock();
  return messages;
}

/** The payloads of messages. */
export function payloads<T>(messages: readonly Message<T>[]): T[] {
  return messages.map(({ payload }) => payload);
}

/** The text of a bulk string. */
export function textOf(reply: Reply): string {
  assertEquals(reply.type, "bulk-string");
  return new TextDecoder().decode((reply as { value: Uint8Array }).value);
}
