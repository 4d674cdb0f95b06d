import { assertEquals } from "@std/assert";
import { Connection } from "../../src/connection/connection.ts";
import type { RedisError } from "../../src/errors.ts";
import type { KeepAliveOptions } from "../../src/protocol/keepalive.ts";
import type { SessionEvent } from "../../src/protocol/push.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { eventLines } from "../protocol/session_bench.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { ModelConnection } from "../support/model_network.ts";
import type { ModelOptions } from "../support/model_server.ts";
import { push } from "../support/wire.ts";

export interface BenchOptions extends ModelOptions {
  readonly keepAlive?: KeepAliveOptions;
  readonly onEvent?: (event: SessionEvent, connection: Connection) => void;
  /** Hears everything in place of the bench. */
  readonly listener?: (event: SessionEvent, connection: Connection) => void;
  readonly wrap?: (transport: Transport) => Transport;
  /** A connection for commands, which subscribes to nothing. */
  readonly role?: "subscriber" | "commands";
}

/** A connection to a model server; what it has heard, and what ended it. */
export class Bench {
  readonly clock = new ManualClock();
  readonly desired = new Desired();
  readonly heard: string[] = [];
  readonly connection: Connection;
  readonly server: ModelConnection;
  cause: RedisError | undefined;

  constructor(options: BenchOptions = {}) {
    const [client, server] = memoryPair();
    this.server = new ModelConnection(server, options, Infinity);
    this.connection = new Connection(options.wrap?.(client) ?? client, {
      clock: this.clock,
      endpoint: "localhost:6379",
      onEvent: (event) => {
        if (options.listener !== undefined) return options.listener(event, this.connection);
        // What a pause holds back is not taken: it is told again.
        if (event.type === "messages" && event.state === "halted") return;
        this.heard.push(...eventLines(event));
        options.onEvent?.(event, this.connection);
      },
      session: {
        handshake: { protocol: "auto", database: 0 },
        keepAlive: options.keepAlive ?? false,
        handshakeTimeoutMs: 5_000,
        commandTimeoutMs: 3_000,
        limits: {},
        desired: options.role === "commands" ? undefined : this.desired,
      },
    });
    void this.connection.ended.then((cause) => this.cause = cause);
  }

  /** Starts it with these channels, and lets it come to rest. */
  async start(...channels: string[]): Promise<void> {
    for (const name of channels) this.desired.add("channel", name);
    this.connection.start();
    await settle();
  }

  want(...channels: string[]): void {
    for (const name of channels) {
      this.desired.add("channel", name);
      this.connection.sync("channel", name);
    }
  }

  /** It ended for this reason, and left neither a timer nor an open transport. */
  assertEnded(says: string): void {
    assertEquals(this.cause?.message, says);
    assertEquals([this.clock.pending, this.server.state], [0, "closed"]);
  }
}

export function message(payload: string) {
  return push("message", "a", payload);
}
