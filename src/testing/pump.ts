/**
 * One client of a test broker: carries bytes between its transport and the broker, with the faults that were asked for.
 *
 * @module
 */

import type { Broker, BrokerConnection } from "../broker/broker.ts";
import { ConnectionError } from "../errors.ts";
import type { Transport } from "../transport/transport.ts";

/** The faults of all connections of a test broker; it changes them while the pumps run. */
export interface Faults {
  /** `frozen`: bytes are taken, and nothing comes of it. */
  flow: "flowing" | "frozen";
  /** No write is longer than so many bytes. */
  pieceBytes: number;
}

/** Options of a {@linkcode Pump}. */
export interface PumpOptions {
  readonly faults: Readonly<Faults>;
  /** A client that lets more bytes than this wait for it is cut off. */
  readonly outputLimitBytes: number;
  /** Where the client comes from, for CLIENT LIST. */
  readonly origin: string;
  /** Hears of every command. */
  readonly onCommand: (words: readonly string[]) => void;
  /** The connection is over. */
  readonly onClosed: (pump: Pump) => void;
}

/** Pumps until either side ends the connection. */
export class Pump {
  /** Resolves when nothing is read any more, since either side has ended the connection, and nothing is written; never rejects. */
  readonly ended: Promise<void>;
  readonly #transport: Transport;
  readonly #options: PumpOptions;
  readonly #connection: BrokerConnection;
  #state: "open" | "ending" | "closed" = "open";
  /** What the client has sent while frozen; `undefined` for its end. */
  #held: (Uint8Array | undefined)[] = [];
  /** What is to be written. */
  #output: Uint8Array[] = [];
  #outputBytes = 0;
  #writer: "idle" | "writing" = "idle";
  #written: Promise<void> = Promise.resolve();

  /** Connects the transport to the broker, and starts. */
  constructor(transport: Transport, broker: Broker, options: PumpOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#connection = broker.connect({
      write: (bytes) => this.#queue(bytes),
      close: () => this.#end(),
      command: options.onCommand,
    }, { origin: options.origin });
    this.ended = this.#readAll();
  }

  /** Goes on after a freeze: delivers what was held, then hears what the client has said. */
  thaw(): void {
    this.#write();
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.#hear(chunk);
  }

  /** Ends the connection at once, whatever was to be written. Idempotent. */
  drop(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#output = [];
    this.#connection.closed();
    this.#transport.close();
    this.#options.onClosed(this);
  }

  async #readAll(): Promise<void> {
    for (let chunk = await this.#read(); chunk !== undefined; chunk = await this.#read()) this.#receive(chunk);
    this.#receive(undefined);
    await this.#written;
  }

  async #read(): Promise<Uint8Array | undefined> {
    try {
      return await this.#transport.read();
    } catch (error) {
      if (error instanceof ConnectionError) return undefined; // A client that breaks the connection has ended it.
      throw error;
    }
  }

  #receive(chunk: Uint8Array | undefined): void {
    if (this.#state === "closed") return;
    if (this.#options.faults.flow === "frozen") this.#held.push(chunk);
    else this.#hear(chunk);
  }

  #hear(chunk: Uint8Array | undefined): void {
    if (chunk !== undefined) return this.#connection.receive(chunk);
    this.#connection.closed();
    this.#end();
  }

  #queue(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#output.push(bytes);
    this.#outputBytes += bytes.length;
    if (this.#outputBytes > this.#options.outputLimitBytes) this.drop();
    else this.#write();
  }

  /** Ends the connection after all that is to be written. */
  #end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#write();
  }

  #write(): void {
    if (this.#writer === "writing" || this.#state === "closed") return;
    this.#writer = "writing";
    this.#written = this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#output.length > 0 && this.#options.faults.flow === "flowing") {
        const batch = this.#output;
        this.#output = [];
        const unwritten = await this.#writeBatch(batch);
        this.#output = [...unwritten, ...this.#output];
      }
    } catch (error) {
      this.drop();
      if (!(error instanceof ConnectionError)) throw error;
    } finally {
      this.#writer = "idle";
    }
    if (this.#state === "ending" && this.#output.length === 0) this.drop();
  }

  /** Writes piece by piece, until it is frozen or over; returns what is left for the thaw. */
  async #writeBatch(batch: readonly Uint8Array[]): Promise<Uint8Array[]> {
    for (const [index, bytes] of batch.entries()) {
      for (let at = 0; at < bytes.length;) {
        if (this.#isOver()) return [];
        if (this.#options.faults.flow === "frozen") return [bytes.subarray(at), ...batch.slice(index + 1)];
        const piece = bytes.subarray(at, at + this.#options.faults.pieceBytes);
        await this.#transport.write(piece);
        this.#outputBytes -= piece.length;
        at += piece.length;
      }
    }
    return [];
  }

  #isOver(): boolean {
    return this.#state === "closed";
  }
}
