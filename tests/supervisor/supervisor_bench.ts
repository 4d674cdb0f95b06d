import { assertEquals } from "@std/assert";
import type { Credentials, LinkOptions } from "../../src/connection/link.ts";
import type { ReconnectOptions } from "../../src/supervisor/options.ts";
import { Supervisor } from "../../src/supervisor/supervisor.ts";
import type { CallOptions } from "../../src/connection/wait.ts";
import type { Endpoint } from "../../src/endpoint.ts";
import type { RedisError } from "../../src/errors.ts";
import type { ClientEventBody } from "../../src/event.ts";
import type { Kind } from "../../src/message.ts";
import { KIND_NAMES } from "../../src/protocol/kind.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { ModelNetwork, type NetworkOptions } from "../support/model_network.ts";

export interface BenchOptions extends NetworkOptions {
  readonly reconnect?: Partial<ReconnectOptions> | false;
  readonly waitOnFirstConnect?: boolean;
  readonly deniedRetryMs?: number;
  readonly credentials?: () => Promise<Credentials>;
  readonly locate?: () => Promise<Endpoint>;
  readonly keepAlive?: LinkOptions["keepAlive"];
  /** How long it takes to tell that a connection is lost. */
  readonly lostMs?: number;
}

const decoder = new TextDecoder();

function eventLine(event: ClientEventBody): string {
  switch (event.type) {
    case "connecting":
      return `connecting ${event.attempt}`;
    case "connected":
      return `connected ${event.protocol}`;
    case "reconnecting":
      return `reconnecting ${event.attempt} in ${event.delayMs} ms`;
    case "subscribed":
    case "unsubscribed":
      return `${event.type} ${event.name}`;
    case "denied":
      return `denied ${event.name}: ${event.error.code}`;
    case "disconnected":
      return `disconnected: ${event.error.name}`;
    default:
      return event.type;
  }
}

/** A supervisor over model servers, and all that it tells. */
export class Bench {
  readonly clock = new ManualClock();
  readonly network: ModelNetwork;
  readonly supervisor: Supervisor;
  /** Everything that the listener was told, a line each. */
  readonly told: string[] = [];
  readonly messages: string[] = [];
  /** Does it listen to events? */
  hearsEvents = true;
  /** Why connections were lost, and what abandoned or failed everything. */
  readonly causes: RedisError[] = [];

  constructor(options: BenchOptions = {}) {
    this.network = new ModelNetwork(options);
    const reconnect = { initialDelayMs: 50, maxDelayMs: 5_000, factor: 2, jitter: 0.2, maxAttempts: Infinity };
    this.supervisor = new Supervisor({
      link: {
        dial: this.network.dial,
        clock: this.clock,
        credentials: options.credentials ?? (() => Promise.resolve({})),
        handshake: { protocol: "auto", database: 0 },
        keepAlive: options.keepAlive ?? false,
        connectTimeoutMs: 5_000,
        commandTimeoutMs: 3_000,
        limits: {},
      },
      locate: options.locate ?? (() => Promise.resolve({ host: "localhost", port: 6379 })),
      reconnect: options.reconnect === false ? false : { ...reconnect, ...options.reconnect },
      waitOnFirstConnect: options.waitOnFirstConnect ?? false,
      closeTimeoutMs: 1_000,
      deniedRetryMs: options.deniedRetryMs ?? Infinity,
    }, {
      hearsEvents: () => this.hearsEvents,
      messages: (run) => {
        while (run.taken < run.count && run.state === "flowing") {
          const i = run.taken++;
          if (run.topic(i).channel === this.fence) this.#reached?.();
          else this.messages.push(decoder.decode(run.view(i)));
        }
      },
      event: (event) => {
        if (event.type === "disconnected") this.causes.push(event.error);
        this.told.push(eventLine(event));
      },
      lost: (since, confirmed) => {
        const had = [...confirmed.places("channel")].filter(({ state }) => state === "subscribed").length;
        void this.clock.jump(options.lostMs ?? 0);
        this.told.push(`lost ${had} since ${since - this.#start}`);
        return had > 0;
      },
      recovered: (since, _, reasons, regained) => {
        const how = regained === undefined ? "" : `: ${regained.name}, ${reasons.join()}`;
        this.told.push(`recovered since ${since - this.#start}${how}`);
      },
      listen: (channel, heard) => {
        this.fence = heard === undefined ? "" : channel;
        this.#reached = heard;
      },
      abandoned: (cause) => void this.told.push(`abandoned: ${cause.name}`),
      failed: (cause) => void this.told.push(`failed: ${cause.name}`),
    });
  }

  readonly #start = 10_000;
  /** The channel of the fence of a move; empty where there is none. */
  fence = "";
  #reached: (() => void) | undefined;

  want(...names: string[]): void {
    this.supervisor.want("channel", this.supervisor.desired.enter("channel", names));
  }

  drop(...names: string[]): void {
    for (const name of names) this.supervisor.drop("channel", name);
  }

  /** Wants the names, and waits for them; what it gives tells how that ended, and is `waiting` until then. */
  subscribe(names: readonly string[], options: CallOptions = {}): { end: unknown } {
    this.want(...names);
    return this.#watch("SUBSCRIBE", "present", names, options);
  }

  unsubscribe(names: readonly string[], options: CallOptions = {}): { end: unknown } {
    this.drop(...names);
    return this.#watch("UNSUBSCRIBE", "absent", names, options);
  }

  /** What the server of the live connection has, of all kinds. */
  served(): string[] {
    const { peer } = this.network.last;
    return Object.entries(peer.names).flatMap(([kind, names]) => [...names].map((name) => `${kind} ${name}`)).sort();
  }

  states(): string[] {
    return this.supervisor.subscriptions().map(({ name, state }) => `${name} ${state}`);
  }

  /** What was told since the last look. */
  news(): string[] {
    return this.told.splice(0);
  }

  /** Of how many names anything is kept, and on how many connections each of them stands. */
  kept(): number[] {
    const { desired } = this.supervisor;
    return KIND_NAMES.flatMap((kind) => [...desired.entries(kind)]).map((entry) =>
      [entry, ...desired.others.get(entry) ?? []].filter(({ owner }) => owner !== undefined).length
    );
  }

  /** Nothing is left behind: no timer, no open transport, no name. */
  async assertLeftNothing(): Promise<void> {
    await settle();
    assertEquals({ timers: this.clock.pending, transports: this.network.open }, { timers: 0, transports: 0 });
    assertEquals(this.kept(), []);
  }

  #watch(what: string, wants: "present" | "absent", names: readonly string[], options: CallOptions): { end: unknown } {
    const watched: { end: unknown } = { end: "waiting" };
    const kinded = names.map((name) => ({ kind: "channel" as Kind, name }));
    this.supervisor.wait(what, wants, kinded, options)
      .then(() => watched.end = "done", (error: unknown) => watched.end = error);
    return watched;
  }
}
