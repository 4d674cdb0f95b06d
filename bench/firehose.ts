/**
 * A server that answers what clients say before they subscribe, and then writes ready-made messages to every subscriber
 * as fast as the socket takes them. Prints its port, then obeys its standard input: `load`, a tab, and two files with
 * a tab between say what comes next, in RESP2 and in RESP3, and are answered by `ready`; `go` lets it come.
 *
 * `native/firehose.c` does the same, and takes its place where there is a compiler.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import fs from "node:fs";
import net, { type Socket } from "node:net";
import process from "node:process";
import readline from "node:readline";
import { Reader } from "../src/resp/reader.ts";
import type { Reply } from "../src/resp/reply.ts";

const INFO = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\nloading:0\r\n";

const SERVER = { server: "redis", version: "7.0.15", mode: "standalone" };

/** What to write, by protocol. */
type Cycles = Readonly<Record<2 | 3, Uint8Array>>;

/** One client. */
class Peer {
  readonly #socket: Socket;
  readonly #reader = new Reader();
  #protocol: 2 | 3 = 2;
  #subscriptions = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#receive(new Uint8Array(chunk)));
    // A reader that has seen enough leaves in the middle of a message.
    socket.on("error", () => socket.destroy());
  }

  /** Writes messages until the peer goes, unless it has subscribed to nothing. */
  flood(cycles: Cycles): void {
    if (this.#subscriptions === 0) return;
    const bytes = cycles[this.#protocol];
    const write = () => {
      while (!this.#socket.destroyed && this.#socket.write(bytes));
    };
    this.#socket.on("drain", write);
    write();
  }

  #receive(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
    let answers = "";
    for (let request; (request = this.#reader.next()) !== undefined;) answers += this.#answer(words(request));
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
        return names.map((name) => this.#acknowledge(name)).join("");
      default:
        return "+OK\r\n"; // AUTH, CLIENT, SELECT
    }
  }

  #hello(version: string | undefined): string {
    this.#protocol = version === "3" ? 3 : 2;
    const pairs = Object.entries({ ...SERVER, proto: this.#protocol }).flatMap(([key, value]) => [
      bulk(key),
      typeof value === "number" ? `:${value}\r\n` : bulk(value),
    ]);
    return (this.#protocol === 3 ? `%${pairs.length / 2}\r\n` : `*${pairs.length}\r\n`) + pairs.join("");
  }

  #acknowledge(name: string): string {
    return `${this.#protocol === 3 ? ">" : "*"}3\r\n${bulk("subscribe")}${bulk(name)}:${++this.#subscriptions}\r\n`;
  }
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

function words(request: Reply): string[] {
  if (request.type !== "array") throw new TypeError(`A request must be an array: ${request.type}`);
  return request.value.map((item) => item.type === "bulk-string" ? new TextDecoder().decode(item.value) : "");
}

const peers = new Set<Peer>();
const server = net.createServer((socket) => {
  const peer = new Peer(socket);
  peers.add(peer);
  socket.once("close", () => peers.delete(peer));
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("The firehose has no port");
  console.log(address.port);
});

let cycles: Cycles | undefined;

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [verb, ...files] = line.split("\t");
  const [resp2, resp3] = files.map((file) => fs.readFileSync(file));
  if (verb === "load" && resp2 !== undefined && resp3 !== undefined) {
    cycles = { 2: resp2, 3: resp3 };
    console.log("ready");
  } else if (verb === "go" && cycles !== undefined) {
    for (const peer of peers) peer.flood(cycles);
  } else throw new TypeError(`There is no such command, or nothing is loaded: ${line}`);
});
lines.on("close", () => process.exit(0));
