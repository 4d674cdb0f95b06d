import type { Broker, BrokerConnection } from "../../src/broker/broker.ts";
import { encodeCommand } from "../../src/resp/writer.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A client without a socket: what it says is answered at once. Bytes appear as UTF-8, `↵` for CR LF. */
export class Peer {
  readonly connection: BrokerConnection;
  readonly log: (readonly string[])[] = [];
  state: "open" | "closed" = "open";
  #writes: string[] = [];

  constructor(broker: Broker) {
    this.connection = broker.connect({
      write: (bytes) => this.#writes.push(show(bytes)),
      close: () => this.state = "closed",
      command: (words) => this.log.push(words),
    });
  }

  /** Sends the words of a line, or nothing, and returns all that has come. */
  say(line: string): string {
    if (line !== "") this.connection.receive(command(line));
    return this.heard();
  }

  /** Sends bytes as they are. */
  send(bytes: string | Uint8Array): string {
    this.connection.receive(typeof bytes === "string" ? encoder.encode(bytes) : bytes);
    return this.heard();
  }

  /** All that has come since the last look. */
  heard(): string {
    return this.writes().join("");
  }

  /** The same, write by write. */
  writes(): string[] {
    const writes = this.#writes;
    this.#writes = [];
    return writes;
  }
}

/** The bytes of a command whose words are separated by single spaces. */
export function command(line: string): Uint8Array {
  return encodeCommand(line.split(" "));
}

/** Bytes as text, `↵` for CR LF. */
export function show(bytes: Uint8Array): string {
  return decoder.decode(bytes).replaceAll("\r\n", "↵");
}
