import { Connection } from "../../src/connection/connection.ts";
import type { LinkOptions } from "../../src/connection/link.ts";
import type { SessionEvent } from "../../src/protocol/push.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { Move } from "../../src/supervisor/move.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { type ModelConnection, ModelNetwork, type NetworkOptions } from "../support/model_network.ts";
import { push } from "../support/wire.ts";

const decoder = new TextDecoder();

/** A move between two model servers, which tell what the test says, and all that comes of it. */
export class MoveBench {
  readonly clock = new ManualClock();
  readonly network: ModelNetwork;
  readonly desired = new Desired();
  old!: Connection;
  move!: Move;
  /** Messages as they would be delivered, and what became of the move. */
  readonly told: string[] = [];
  #reached: (() => void) | undefined;
  #fence = "";
  #live!: Connection;

  constructor(options: NetworkOptions = {}) {
    this.network = new ModelNetwork(options);
  }

  get #link(): LinkOptions {
    return {
      dial: this.network.dial,
      clock: this.clock,
      credentials: () => Promise.resolve({}),
      handshake: { protocol: "auto", database: 0 },
      keepAlive: false,
      connectTimeoutMs: 5_000,
      commandTimeoutMs: 3_000,
      limits: {},
    };
  }

  /** The server of the old connection. */
  get from(): ModelConnection {
    return this.network.connections[0]!;
  }

  /** The server of the new one. */
  get to(): ModelConnection {
    return this.network.connections[1]!;
  }

  /** An old connection with these channels. */
  async start(...channels: string[]): Promise<void> {
    for (const channel of channels) this.desired.add("channel", channel);
    const { clock } = this;
    const transport = await this.network.dial({ host: "old", port: 1 }, { signal: new AbortController().signal });
    const session = { handshakeTimeoutMs: 5_000, desired: this.desired, ...this.#link };
    this.old = new Connection(transport, {
      clock,
      endpoint: "old:1",
      session,
      onEvent: (event) => this.#hear(this.old, event),
    });
    this.#live = this.old;
    void this.old.ended.then(() => {
      if (this.#live === this.old) this.told.push(this.move?.oldEnded() ? "old ended, moving on" : "old ended");
    });
    this.old.start();
    await settle();
  }

  /** Sets out, and lets all happen that can. */
  async go(): Promise<void> {
    this.move = new Move({
      old: this.old,
      endpoint: { host: "new", port: 2 },
      link: this.#link,
      desired: this.desired,
      closeTimeoutMs: 1_000,
    }, {
      listen: (channel, heard) => {
        this.#fence = heard === undefined ? "" : channel;
        this.#reached = heard;
      },
      hear: (next, event) => this.#hear(next, event),
      taken: (next, how) => {
        this.told.push(`taken ${how}`);
        this.#live = next;
        queueMicrotask(() => void this.old.quit(1_000));
        for (const { kind, name } of this.move.held) next.sync(kind, name);
        next.resume();
      },
      failed: (cause, old) => {
        this.told.push(`failed, old ${old}: ${cause.message}`);
        for (const { kind, name } of this.move.held) this.old.sync(kind, name);
        this.old.resume();
      },
    });
    await settle();
  }

  /** Wants a channel, or not any more, while it moves. */
  async want(channel: string, wanted: boolean): Promise<void> {
    if (wanted) this.desired.add("channel", channel);
    else this.desired.delete("channel", channel);
    this.move.sync("channel", channel);
    await settle();
  }

  /** The servers tell a message: one of them, or, as one that publishes does, the fence. */
  async tell(server: ModelConnection, payload: string): Promise<void> {
    server.send(payload === "fence" ? push("message", this.#fence, "") : push("message", "n", payload));
    await settle();
  }

  /** The answers of a subscription that a server has held back. */
  async confirm(server: ModelConnection, label: "subscribe" | "unsubscribe", channel: string): Promise<void> {
    server.send(push(label, channel, 1));
    await settle();
  }

  /** What a server was sent, with the name of the fence in its place. */
  sent(server: ModelConnection): string[] {
    return server.peer.commands.map((line) => line.replace(/earshot:private:\w+/, "FENCE"));
  }

  #hear(connection: Connection, event: SessionEvent): void {
    if (event.type === "messages") {
      while (event.taken < event.count && (event.state === "flowing" || connection !== this.#live)) {
        const i = event.taken++;
        if (connection !== this.#live) continue;
        if (event.topic(i).channel === this.#fence) this.#reached?.();
        else if (event.topic(i).channel === "n") this.told.push(decoder.decode(event.view(i)));
      }
    } else if (connection === this.old) this.move?.look();
  }
}
