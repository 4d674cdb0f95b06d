/**
 * No client at all: the socket of the runtime, SUBSCRIBE for every name in one write, and the acknowledgements counted.
 * What this takes is what the server and the socket take. As a second argument `one` sends one command with all names.
 */

import net from "node:net";
import process from "node:process";
import { FIRST, run, task } from "./subscribe_run.ts";

const hostname = "127.0.0.1";
const { port } = task;
const ASTERISK = 0x2a;
const encoder = new TextEncoder();
const inOne = process.argv[3] === "one";

/** Counts acknowledgements; no name has an asterisk. */
class Count {
  #due = 0;
  #done: () => void = () => {};

  /** Resolves when so many more have come. */
  await(count: number): Promise<void> {
    this.#due = count;
    return new Promise((resolve) => this.#done = resolve);
  }

  take(chunk: Uint8Array): void {
    for (let at = chunk.indexOf(ASTERISK); at >= 0; at = chunk.indexOf(ASTERISK, at + 1)) this.#due--;
    if (this.#due === 0) this.#done();
  }
}

/** A connection, as `write`. */
type Open = (count: Count, onEnd: () => void) => Promise<(bytes: Uint8Array) => void>;

const openDeno: Open = async (count, onEnd) => {
  const conn = await Deno.connect({ hostname, port });
  conn.setNoDelay(true);
  const buffer = new Uint8Array(64 * 1024);
  const read = async () => {
    for (let size; (size = await conn.read(buffer)) !== null;) count.take(buffer.subarray(0, size));
  };
  read().catch(() => {}).then(onEnd);
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };
  return (bytes) => void write(bytes);
};

const openNode: Open = (count, onEnd) =>
  new Promise((resolve, reject) => {
    const buffer = new Uint8Array(64 * 1024);
    const callback = (size: number) => {
      count.take(buffer.subarray(0, size));
      return true;
    };
    const socket = net.connect({ host: hostname, port, noDelay: true, onread: { buffer, callback } });
    socket.once("connect", () => resolve((bytes) => void socket.write(bytes)));
    socket.once("error", reject);
    socket.once("close", onEnd);
  });

const open = "Deno" in globalThis ? openDeno : openNode;

function commands(verb: string, names: readonly string[]): Uint8Array {
  const words = names.map((name) => `$${name.length}\r\n${name}\r\n`);
  const text = inOne
    ? `*${names.length + 1}\r\n$${verb.length}\r\n${verb}\r\n${words.join("")}`
    : words.map((word) => `*2\r\n$${verb.length}\r\n${verb}\r\n${word}`).join("");
  return encoder.encode(text);
}

await run(async () => {
  const count = new Count();
  let onEnd = () => {};
  let write = await open(count, () => onEnd());
  const send = async (verb: string, names: readonly string[]) => {
    const counted = count.await(names.length);
    write(commands(verb, names));
    await counted;
  };
  await send("SUBSCRIBE", [FIRST]);
  let all: string[] = [];
  return {
    subscribe: (names) => send("SUBSCRIBE", all = names),
    unsubscribe: (names) => send("UNSUBSCRIBE", names),
    restored: async (cut) => {
      const ended = new Promise<void>((resolve) => onEnd = resolve);
      await cut();
      await ended;
      write = await open(count, () => {});
      await send("SUBSCRIBE", [FIRST, ...all]);
      return 0;
    },
  };
});
