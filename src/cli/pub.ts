/**
 * `pub`: publishes one message.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { Client } from "../../mod.ts";
import type { Terminal } from "./terminal.ts";

/** Publishes and prints the number of receivers; gives the exit code. */
export async function pub(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { shard: { type: "boolean", short: "s", default: false }, url: { type: "string" } },
  });
  const [name, payload] = positionals;
  if (name === undefined || payload === undefined || positionals.length > 2) {
    throw new TypeError('pub needs a channel and a payload, or "-" for what comes in');
  }
  await using redis = new Client(values.url ?? terminal.url);
  const bytes = payload === "-" ? await terminal.input() : payload;
  const options = { signal: terminal.stop };
  const receivers = await (values.shard ? redis.spublish(name, bytes, options) : redis.publish(name, bytes, options));
  await terminal.out(`${receivers} ${receivers === 1 ? "receiver" : "receivers"}`);
  return 0;
}
