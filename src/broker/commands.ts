/**
 * The table of commands, and how one is carried out.
 *
 * @module
 */

import { decodeName } from "../name.ts";
import type { Broker, BrokerConnection } from "./broker.ts";
import { CONNECTION_COMMANDS } from "./connection_commands.ts";
import { PUBSUB_COMMANDS } from "./pubsub_commands.ts";
import { isSubscribed } from "./registry.ts";

/** One command, as it is carried out. */
export interface Call {
  readonly broker: Broker;
  /** Who sent it. */
  readonly connection: BrokerConnection;
  /** The words after the verb, or after the subcommand where there is one. */
  readonly args: readonly Uint8Array[];
}

/** What a command is. */
export interface CommandRow {
  /** How many words it has at least and at most, verb and subcommand included. */
  readonly words: readonly [least: number, most: number];
  /** `anonymous`: allowed before AUTH. `subscriber`: allowed while subscribed in RESP2. `resp3`: unknown to servers that speak RESP2 only. */
  readonly flags?: readonly ("anonymous" | "subscriber" | "resp3")[];
  /** Which of its arguments are names of channels or patterns. */
  readonly names?: "first" | "all";
  /** Masks its credentials for a log; takes and returns the words after the verb. */
  readonly mask?: (args: readonly string[]) => readonly string[];
  /** Answers it. */
  readonly run: (call: Call) => void;
}

/** A subcommand stands under `VERB|SUBCOMMAND`. */
const COMMANDS: ReadonlyMap<string, CommandRow> = new Map([...CONNECTION_COMMANDS, ...PUBSUB_COMMANDS]);
const CONTAINERS: ReadonlySet<string> = new Set(
  Array.from(COMMANDS.keys()).filter((key) => key.includes("|")).map((key) => key.slice(0, key.indexOf("|"))),
);

/** Carries out a command: `words` is its verb and what follows, at least one word. */
export function execute(broker: Broker, connection: BrokerConnection, words: readonly Uint8Array[]): void {
  const key = commandKey(words);
  const known = COMMANDS.get(key);
  const row = known?.flags?.includes("resp3") && broker.protocol === 2 ? undefined : known;
  const args = words.slice(key.includes("|") ? 2 : 1);
  const names = row?.names === "first" ? args.slice(0, 1) : row?.names === "all" ? args : [];
  const refusal = broker.refusal(key, names.map(decodeName));
  const name = key.toLowerCase();
  connection.lastCommand = name;

  // The order of the checks is that of Redis's processCommand.
  if (row === undefined && refusal === undefined) return connection.error(unknownText(broker, key, words));
  if (row !== undefined && (words.length < row.words[0] || words.length > row.words[1])) {
    return connection.error(`ERR wrong number of arguments for '${name}' command`);
  }
  if (connection.user === undefined && !row?.flags?.includes("anonymous")) {
    return connection.error("NOAUTH Authentication required.");
  }
  if (refusal !== undefined) return connection.error(refusal);
  if (connection.protocol === 2 && isSubscribed(connection) && !row?.flags?.includes("subscriber")) {
    return connection.error(
      `ERR Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
    );
  }
  row?.run({ broker, connection, args });
}

/** The words of a command as text, with `***` in place of every credential. */
export function maskedWords(words: readonly Uint8Array[]): readonly string[] {
  const [verb = "", ...args] = words.map(decodeName);
  return [verb, ...COMMANDS.get(verb.toUpperCase())?.mask?.(args) ?? args];
}

/** `VERB`, or `VERB|SUBCOMMAND` where the verb has subcommands and one was given. */
function commandKey(words: readonly Uint8Array[]): string {
  const verb = decodeName(words[0]!).toUpperCase();
  return CONTAINERS.has(verb) && words.length > 1 ? `${verb}|${decodeName(words[1]!).toUpperCase()}` : verb;
}

/** The same form for a command that a caller names: `"client setname"`, `"CLIENT|SETNAME"`. */
export function canonicalKey(command: string): string {
  return command.trim().toUpperCase().replace(/\s+|\|/g, "|");
}

/** How much of the arguments of an unknown command Redis repeats. */
const ECHO_LIMIT = 128;

function unknownText(broker: Broker, key: string, words: readonly Uint8Array[]): string {
  const [verb, ...args] = words.map((word) => decodeName(word));
  if (CONTAINERS.has(key)) return `ERR wrong number of arguments for '${key.toLowerCase()}' command`;
  const container = key.slice(0, Math.max(0, key.indexOf("|")));
  if (CONTAINERS.has(container)) {
    return `ERR unknown subcommand '${args[0]!.slice(0, ECHO_LIMIT)}'. Try ${container} HELP.`;
  }
  const [before, after, separator] = broker.protocol === 2 ? ["`", "`", ", "] : ["'", "'", " "];
  let echo = "";
  for (const arg of args) {
    if (echo.length >= ECHO_LIMIT) break;
    echo += before + arg.slice(0, ECHO_LIMIT - echo.length) + after + separator;
  }
  return `ERR unknown command ${before}${verb!.slice(0, ECHO_LIMIT)}${after}, with args beginning with: ${echo}`;
}
