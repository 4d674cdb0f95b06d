/** Where connections move: a broker, a subscriber whose credentials expire, a clock that stands, and a network that dawdles. */

import type { ClientEvent, ClientOptions, Credentials, Message, PubSubOptions } from "@earshot/redis";
import { TestBroker } from "@earshot/redis/testing";
import { resolveOptions } from "../../src/client/options.ts";
import { PubSub } from "../../src/client/pubsub.ts";
import { standalone } from "../../src/topology/standalone.ts";
import type { Endpoint } from "../../src/endpoint.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";

/** The credentials live for so long, in milliseconds, and are renewed after four fifths of it. */
export const LIFE_MS = 100_000;
export const DUE_MS = 80_000;

/** The only password that the broker knows. */
export const PASSWORD = "sesame";

export interface MovingOptions {
  readonly protocol: 2 | 3;
  readonly broker?: TestBroker;
  readonly client?: ClientOptions;
  readonly credentials?: (asked: number, usual: Credentials) => Promise<Credentials>;
  /** How many turns of the event loop the nth connection waits before a read or a write; none by default. */
  readonly dawdle?: (connection: number) => number;
  readonly stream?: PubSubOptions<string>;
  /** How many turns the consumer waits after a message; none by default. */
  readonly takes?: () => number;
  /** Publishes for a canary; without it there is none. */
  readonly sing?: (channel: string) => Promise<unknown>;
  /** Which broker serves an endpoint. */
  readonly serves?: (endpoint: Endpoint) => TestBroker;
}

/** One connection as the test sees it. */
export interface Wire {
  readonly endpoint: Endpoint;
  /** Breaks it, from the side of the network. */
  break(): void;
  /** `deaf`: no message comes through, everything else does. */
  ear: "open" | "deaf";
  state: "open" | "closed";
}

export class MovingStage {
  readonly clock = new ManualClock();
  readonly broker: TestBroker;
  readonly pubsub: PubSub;
  readonly events: ClientEvent[] = [];
  readonly wires: Wire[] = [];
  /** Everything that the main stream gave. */
  readonly messages: Message[] = [];
  /** How often credentials were asked for. */
  asked = 0;
  /** Refuses to dial, when set. */
  unreachable: "no" | "yes" = "no";
  #reading: Promise<void>;
  #options: MovingOptions;

  constructor(options: MovingOptions) {
    this.#options = options;
    this.broker = options.broker ?? new TestBroker({ protocol: options.protocol, password: PASSWORD });
    const settings = resolveOptions({
      port: 6379,
      protocol: options.protocol,
      reconnect: { initialDelayMs: 50, jitter: 0 },
      keepAlive: false,
      dial: (endpoint, dialOptions) => this.#dial(endpoint, dialOptions.signal),
      onEvent: (event) => void this.events.push(event),
      credentials: () => {
        this.asked++;
        const credentials = { password: PASSWORD, expiresAt: this.clock.date() + LIFE_MS };
        return options.credentials?.(this.asked, credentials) ?? Promise.resolve(credentials);
      },
      ...options.client,
    });
    this.pubsub = new PubSub(
      { ...settings, link: { ...settings.link, clock: this.clock }, ...options.sing && { publish: options.sing } },
      standalone(settings.endpoint),
      options.stream ?? {},
      () => {},
    );
    this.#reading = this.#read();
  }

  /** What the main stream gave, as numbers, but for what came since the last look. */
  numbers(): number[] {
    return this.messages.splice(0).map(({ payload }) => Number(payload));
  }

  /** How many events of this type there were. */
  count(type: ClientEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** How many connections stand. */
  get open(): number {
    return this.wires.filter(({ state }) => state === "open").length;
  }

  /** Lets time pass until the credentials are renewed. */
  async renew(): Promise<void> {
    await this.clock.advance(DUE_MS);
  }

  /** Waits until all is at rest. */
  async rest(turns = 100): Promise<void> {
    for (let i = 0; i < turns; i++) await settle();
  }

  /** Closes, and looks that nothing is left. */
  async end(): Promise<{ timers: number; open: number }> {
    let openThen = -1;
    const closed = this.pubsub.close().then(() => openThen = this.open);
    for (let i = 0; i < 50; i++) await this.clock.advance(100);
    await closed;
    await this.#reading;
    return { timers: this.clock.pending, open: openThen };
  }

  async #read(): Promise<void> {
    for await (const message of this.pubsub) {
      this.messages.push(message);
      for (let turns = this.#options.takes?.() ?? 0; turns > 0; turns--) await settle();
    }
  }

  async #dial(endpoint: Endpoint, signal: AbortSignal): Promise<Transport> {
    if (this.unreachable === "yes") throw new Error("unreachable");
    const broker = this.#options.serves?.(endpoint) ?? this.broker;
    const transport = await broker.dial(endpoint, { signal });
    const wire: Wire = { endpoint, ear: "open", state: "open", break: () => transport.close() };
    const number = this.wires.push(wire);
    const pause = async () => {
      for (let turns = this.#options.dawdle?.(number) ?? 0; turns > 0; turns--) await settle();
    };
    return {
      read: async (room) => {
        for (;;) {
          const chunk = await transport.read(room);
          await pause();
          if (chunk === undefined) wire.state = "closed";
          if (chunk === undefined || wire.ear === "open" || !isMessage(chunk)) return chunk;
        }
      },
      write: async (bytes) => {
        const copy = bytes.slice();
        await pause();
        await transport.write(copy);
      },
      close: () => {
        wire.state = "closed";
        transport.close();
      },
    };
  }
}

/** Is this a message, in either protocol? The broker writes each by itself. */
function isMessage(chunk: Uint8Array): boolean {
  return /^[*>]3\r\n\$7\r\nmessage/.test(new TextDecoder().decode(chunk));
}
