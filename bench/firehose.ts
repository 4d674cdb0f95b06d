/**
 * A server that answers what clients say before they subscribe, and then, when a line comes on its standard input,
 * writes one cell's messages to every subscriber as fast as the socket takes them. One argument: the cell, as JSON.
 * Prints its port. `consumers/drain.ts` shows that it is not what limits the readers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import net, { type Socket } from "node:net";
import process from "node:process";
import { Reader } from "../src/resp/reader.ts";
import type { Reply } from "../src/resp/reply.ts";
import { type Cell, cycle } from "./frames.ts";

const INFO = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\nloading:0\r\n";

const SERVER = {
  server: "redis",
  version: "7.0.15",
  mode: "standalone",
  role: "master",
};

/** One client. */
class Peer {
  readonly #socket: Socket;
  readonly #reader = new Reader();
  #protocol: 2 | 3 = 2;
  #subscriptions = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#receive(new Uint8Array(chunk)));
    // A consumer that has seen enough leaves in the middle of a message.
    socket.on("error", () => socket.destroy());
  }

  /** Writes messages until the peer goes, unless it has subscribed to nothing. */
  flood(cell: Cell): void {
    if (this.#subscriptions === 0) return;
    const bytes = cycle(cell, this.#protocol);
    const write = () => {
      while (!this.#socket.destroyed && this.#socket.write(bytes));
    };
    this.#socket.on("drain", write);
    write();
  }

  #receive(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
    let answers = "";
    for (let request; (request = this.#reader.next()) !== undefined;) {
      answers += this.#answer(words(request));
    }
    if (answers !== "") this.#socket.write(answers);
  }

  #answer([verb = "", ...names]: string[]): string {
    switch (verb.toUpperCase()) {
      case "HELLO":
        return this.#hello(names[0]);
      case "INFO":
        return bulk(INFO);
      case "PING":
        return this.#protocol === 2 && this.#subscriptions > 0 ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n";
      case "SUBSCRIBE":
        return names.map((name) => this.#acknowledge("subscribe", name, ++this.#subscriptions)).join("");
      case "UNSUBSCRIBE":
        return names.map((name) => this.#acknowledge("unsubscribe", name, --this.#subscriptions)).join("");
      case "QUIT":
        this.#socket.end("+OK\r\n");
        return "";
      default:
        return "+OK\r\n"; // AUTH, CLIENT, SELECT
    }
  }

  #hello(version: string | undefined): string {
    this.#protocol = version === "3" ? 3 : 2;
    const pairs = Object.entries({ ...SERVER, proto: this.#protocol }).flatMap((
      [key, value],
    ) => [
      bulk(key),
      typeof value === "number" ? `:${value}\r\n` : bulk(value),
    ]);
    return (this.#protocol === 3 ? `%${pairs.length / 2}\r\n` : `*${pairs.length}\r\n`) + pairs.join("");
  }

  #acknowledge(label: string, name: string, count: number): string {
    return `${this.#protocol === 3 ? ">" : "*"}3\r\n${bulk(label)}${bulk(name)}:${count}\r\n`;
  }
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

function words(request: Reply): string[] {
  if (request.type !== "array") {
    throw new TypeError(`A request must be an array: ${request.type}`);
  }
  return request.value.map((item) => item.type === "bulk-string" ? new TextDecoder().decode(item.value) : "");
}

function main(): void {
  const cell: Cell = JSON.parse(process.argv[2] ?? "");
  const peers: Peer[] = [];
  const server = net.createServer((socket) => void peers.push(new Peer(socket)));
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (address === null || typeof address === "string") {
      throw new TypeError("The firehose has no port");
    }
    console.log(address.port);
  });
  process.stdin.once("data", () => peers.forEach((peer) => peer.flood(cell)));
  process.stdin.once("end", () => process.exit(0));
}

main();
