/** As much of a Redis server as a subscriber sees: pure, and small enough to be right at sight. */
import type { Kind } from "../../src/message.ts";
import { encodeName } from "../../src/name.ts";
import { KIND_NAMES, KINDS } from "../../src/protocol/kind.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { encodeReply } from "../../src/resp/writer.ts";
import { CommandReader, HELLO_MAP, item, OK, PONG, push, refusal } from "./wire.ts";

/** What is answered instead of what Redis would answer; undefined: what Redis would. */
export type Answer = (words: readonly string[]) => readonly Reply[] | undefined;

export interface ModelOptions {
  readonly protocol?: 2 | 3;
  readonly answer?: Answer;
}

/** The server's side of one connection. */
export class ModelPeer {
  /** Every command that came, a line each. */
  readonly commands: string[] = [];
  readonly names: Readonly<Record<Kind, Set<string>>> = { channel: new Set(), pattern: new Set(), shard: new Set() };
  state: "open" | "quit" = "open";
  protocol: 2 | 3 = 2;
  #options: ModelOptions;
  #reader = new CommandReader();

  constructor(options: ModelOptions = {}) {
    this.#options = options;
  }

  /** The answers to the commands in `chunk`. */
  receive(chunk: Uint8Array): Uint8Array[] {
    return this.#reader.read(chunk).flatMap((words) => {
      if (this.state === "quit") return [];
      this.commands.push(words.join(" "));
      const replies = this.#options.answer?.(words) ?? this.#execute(words);
      return replies.map((reply) => this.encode(reply));
    });
  }

  encode(reply: Reply): Uint8Array {
    return encodeReply(reply, this.protocol);
  }

  #execute([verb = "", ...args]: readonly string[]): Reply[] {
    for (const kind of KIND_NAMES) {
      const row = KINDS[kind];
      if (verb === row.subscribe) {
        return args.map((name) => push(row.subscribed, encodeName(name), this.names[kind].add(name).size));
      }
      if (verb !== row.unsubscribe) continue;
      return args.map((name) => {
        this.names[kind].delete(name);
        return push(row.unsubscribed, encodeName(name), this.names[kind].size);
      });
    }
    switch (verb) {
      case "HELLO":
        if (this.#options.protocol === 2) {
          return [refusal("ERR unknown command `HELLO`, with args beginning with: `3`, ")];
        }
        this.protocol = 3;
        return [HELLO_MAP];
      case "PING":
        return this.protocol === 2 && this.#subscribed ? [push("pong", "")] : [PONG];
      case "QUIT":
        this.state = "quit";
        return [OK];
      case "AUTH":
      case "CLIENT":
      case "SELECT":
        return [OK];
      case "ECHO":
        return [item(args[0]!)];
      default:
        return [refusal(`ERR unknown command '${verb}'`)];
    }
  }

  get #subscribed(): boolean {
    return KIND_NAMES.some((kind) => this.names[kind].size > 0);
  }
}
