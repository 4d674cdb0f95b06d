/** Replies and commands, written short. */
import { decodeName } from "../../src/name.ts";
import { Reader } from "../../src/resp/reader.ts";
import type { Reply } from "../../src/resp/reply.ts";

export type Item = string | number | null | Uint8Array;

export const OK: Reply = { type: "simple-string", value: "OK" };
export const PONG: Reply = { type: "simple-string", value: "PONG" };

/** A text becomes a bulk string, a number an integer. */
export function item(value: Item): Reply {
  if (value === null) return { type: "null", value };
  if (typeof value === "number") return { type: "integer", value };
  return { type: "bulk-string", value: typeof value === "string" ? new TextEncoder().encode(value) : value };
}

export function push(...items: Item[]): Reply {
  return { type: "push", value: items.map(item) };
}

export function array(...items: Item[]): Reply {
  return { type: "array", value: items.map(item) };
}

export function refusal(text: string): Reply {
  return { type: "simple-error", value: text };
}

/** What servers answer to HELLO 3. */
export const HELLO_MAP: Reply = {
  type: "map",
  value: [[item("server"), item("redis")], [item("proto"), item(3)], [item("modules"), array()]],
};

/** Commands out of bytes that come in any pieces. */
export class CommandReader {
  #reader = new Reader();

  read(chunk: Uint8Array): string[][] {
    this.#reader.feed(chunk.slice());
    const commands: string[][] = [];
    for (let reply; (reply = this.#reader.next()) !== undefined;) {
      if (reply.type !== "array") throw new Error(`Not a command: ${reply.type}`);
      commands.push(reply.value.map((word) => {
        if (word.type !== "bulk-string") throw new Error(`Not a word of a command: ${word.type}`);
        return decodeName(word.value);
      }));
    }
    return commands;
  }
}

/** The commands in these bytes, a line each. */
export function commandLines(bytes: Uint8Array | undefined): string[] {
  return bytes === undefined ? [] : new CommandReader().read(bytes).map((words) => words.join(" "));
}
