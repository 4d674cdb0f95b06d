/**
 * `sub`: prints messages until it is told to stop.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { Client, type ClientEvent, type Gap, type Message } from "../../mod.ts";
import type { Terminal } from "./terminal.ts";

/** Subscribes and prints; gives the exit code. */
export async function sub(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      pattern: { type: "string", short: "p", multiple: true, default: [] },
      shard: { type: "string", short: "s", multiple: true, default: [] },
      json: { type: "boolean", default: false },
      url: { type: "string" },
    },
  });
  if (positionals.length + values.pattern.length + values.shard.length === 0) {
    throw new TypeError("sub needs a channel, a pattern (-p) or a shard channel (-s)");
  }
  await using redis = new Client(values.url ?? terminal.url, { onEvent: (event) => remark(event, terminal) });
  const pubsub = redis.pubsub({ signal: terminal.stop, overflow: "block" });
  await Promise.all([
    positionals.length > 0 && pubsub.subscribe(positionals),
    values.pattern.length > 0 && pubsub.psubscribe(values.pattern),
    values.shard.length > 0 && pubsub.ssubscribe(values.shard),
  ]);
  for await (const message of pubsub) {
    if (message.gap !== undefined && !values.json) terminal.note(`gap: ${gapText(message.gap)}`);
    await terminal.out(values.json ? JSON.stringify(message) : line(message));
  }
  return 0;
}

function line({ channel, payload }: Message): string {
  return `${channel} ${payload}`;
}

/** What may be missing, in words. */
export function gapText({ reasons, downMs, dropped }: Gap): string {
  const lost = dropped > 0 ? `, ${dropped} dropped` : "";
  return `messages may be missing (${reasons.join(", ")}, nothing heard for ${downMs} ms${lost})`;
}

function remark(event: ClientEvent, terminal: Terminal): void {
  switch (event.type) {
    case "disconnected":
      return terminal.note(event.error.message);
    case "reconnecting":
      return terminal.note(`Connecting again in ${Math.round(event.delayMs)} ms (attempt ${event.attempt})`);
    case "ready":
      return terminal.note(`Subscribed at ${event.endpoint}`);
    case "denied":
      return terminal.note(event.error.message);
  }
}
