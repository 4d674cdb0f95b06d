import { ConnectionError } from "../../src/errors.ts";
import type { Endpoint } from "../../src/endpoint.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { concat } from "../../src/resp/writer.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import type { Dial, Transport } from "../../src/transport/transport.ts";
import { type ModelOptions, ModelPeer } from "./model_server.ts";

export interface NetworkOptions extends ModelOptions {
  /** What becomes of a dial before it connects; `count` is 1 for the first. Throws to refuse. */
  readonly dialling?: (count: number, signal: AbortSignal) => void | Promise<void>;
  /** Options of the peer that takes the nth connection; 1 is the first. */
  readonly peer?: (count: number) => ModelOptions;
  /** How many bytes of its answers the nth connection lets through before it breaks. */
  readonly breaksAfter?: (count: number) => number;
}

/** One connection, seen from the server. */
export class ModelConnection {
  readonly peer: ModelPeer;
  /** `frozen`: it takes bytes and says nothing. */
  state: "open" | "frozen" | "closed" = "open";
  /** The chunks as the client wrote them. */
  readonly writes: Uint8Array[] = [];
  #transport: Transport;
  #left: number;

  constructor(transport: Transport, options: ModelOptions, breaksAfter: number) {
    this.#transport = transport;
    this.#left = breaksAfter;
    this.peer = new ModelPeer(options);
    if (breaksAfter <= 0) this.close();
    void this.#serve();
  }

  send(...replies: Reply[]): void {
    for (const reply of replies) this.#write(this.peer.encode(reply));
  }

  /** Sends them in one write, so that one read brings them all. */
  sendTogether(...replies: Reply[]): void {
    this.#write(concat(replies.map((reply) => this.peer.encode(reply))));
  }

  close(): void {
    this.state = "closed";
    this.#transport.close();
  }

  async #serve(): Promise<void> {
    for (let chunk; (chunk = await this.#transport.read()) !== undefined;) {
      this.writes.push(chunk);
      if (this.state !== "open") continue;
      for (const answer of this.peer.receive(chunk)) this.#write(answer);
      if (this.peer.state === "quit") this.close();
    }
    this.close();
  }

  #write(bytes: Uint8Array): void {
    if (this.state !== "open") return;
    const part = bytes.subarray(0, this.#left);
    this.#left -= part.length;
    this.#transport.write(part).catch(() => this.close());
    if (this.#left <= 0) this.close();
  }
}

/** Servers in memory, one {@linkcode ModelPeer} for each connection. */
export class ModelNetwork {
  readonly connections: ModelConnection[] = [];
  dials = 0;
  #options: NetworkOptions;

  constructor(options: NetworkOptions = {}) {
    this.#options = options;
  }

  /** The connection that was made last. */
  get last(): ModelConnection {
    return this.connections.at(-1)!;
  }

  /** How many connections neither side has closed. */
  get open(): number {
    return this.connections.filter(({ state }) => state !== "closed").length;
  }

  readonly dial: Dial = async (_endpoint: Endpoint, { signal }) => {
    const count = ++this.dials;
    await this.#options.dialling?.(count, signal);
    signal.throwIfAborted();
    const [client, server] = memoryPair();
    const breaksAfter = this.#options.breaksAfter?.(count) ?? Infinity;
    this.connections.push(new ModelConnection(server, this.#options.peer?.(count) ?? this.#options, breaksAfter));
    return client;
  };
}

export function refuse(): never {
  throw new ConnectionError("Cannot connect to localhost:6379: connection refused");
}
