/**
 * No client at all: the socket of the runtime, SUBSCRIBE for every name in one write, and the acknowledgements counted.
 * What this takes is what the server and the socket take. As a second argument `one` sends one command with all names.
 */

import process from "node:process";
import { FIRST, run } from "./subscribe_run.ts";
import { type Ear, open } from "./subscribe_socket.ts";

const ASTERISK = 0x2a;
const encoder = new TextEncoder();
const inOne = process.argv[3] === "one";

/** Counts acknowledgements; no name has an asterisk. */
class Count implements Ear {
  onEnd = (): void => {};
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

function commands(verb: string, names: readonly string[]): Uint8Array {
  const words = names.map((name) => `$${name.length}\r\n${name}\r\n`);
  const text = inOne
    ? `*${names.length + 1}\r\n$${verb.length}\r\n${verb}\r\n${words.join("")}`
    : words.map((word) => `*2\r\n$${verb.length}\r\n${verb}\r\n${word}`).join("");
  return encoder.encode(text);
}

await run(async () => {
  const count = new Count();
  let write = await open(count);
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
      const ended = new Promise<void>((resolve) => count.onEnd = resolve);
      await cut();
      await ended;
      write = await open(count);
      await send("SUBSCRIBE", [FIRST, ...all]);
    },
  };
});
