/**
 * Finds the command, and turns what it throws into a sentence and an exit code: 0 ok, 1 failed, 2 misuse.
 *
 * @module
 */

import { RedisError } from "../../mod.ts";
import { demo } from "./demo.ts";
import { pub } from "./pub.ts";
import { sub } from "./sub.ts";
import type { Terminal } from "./terminal.ts";

/** A command: gives its exit code, or throws. */
export type Command = (args: readonly string[], terminal: Terminal) => Promise<number>;

const COMMANDS: Readonly<Record<string, Command>> = { demo, pub, sub };

const USAGE = `Redis Pub/Sub that never goes quiet without telling you

Usage:
  sub NAME... [-p PATTERN]... [-s SHARD_CHANNEL]... [--json] [--url URL]
      Prints messages until Ctrl-C. Gaps and reconnections are told on the error output.
  pub NAME PAYLOAD [-s] [--url URL]
      Publishes PAYLOAD, or what comes in where it is "-"; prints the number of receivers. -s: to a shard channel.
  demo
      A subscriber that survives a cut connection. Brings its own server, or uses REDIS_URL.

The server is --url, else the environment's REDIS_URL, else redis://localhost:6379.
Exit codes: 0 ok, 1 failed, 2 misuse.`;

/** Runs the command line; never throws. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name = "", ...rest] = args;
  if (name === "--help" || name === "-h" || name === "help") {
    await terminal.out(USAGE);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    terminal.note(name === "" ? USAGE : `Unknown command: ${JSON.stringify(name)}\n\n${USAGE}`);
    return 2;
  }
  try {
    return await command(rest, terminal);
  } catch (error) {
    if (terminal.stop.aborted) return 1;
    if (error instanceof RedisError) {
      terminal.note(explain(error));
      return 1;
    }
    // Of parseArgs, of a URL, of an option: what was asked for makes no sense.
    if (error instanceof TypeError || error instanceof RangeError) {
      terminal.note(error.message);
      return 2;
    }
    throw error;
  }
}

/** The error and what led to it, a line each. */
function explain(error: RedisError): string {
  const lines: string[] = [];
  for (let at: unknown = error; at instanceof Error && lines.length < 5; at = at.cause) lines.push(at.message);
  return lines.join("\n  because: ");
}
