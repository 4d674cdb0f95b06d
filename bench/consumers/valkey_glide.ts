/** Valkey GLIDE: text payloads to a callback, every default on. */

import { add, channels, ready, task } from "./tally.ts";

/** The part of it that is used here. */
interface Glide {
  readonly GlideClient: {
    createClient(options: {
      addresses: { host: string; port: number }[];
      pubsubSubscriptions: {
        channelsAndPatterns: Record<string, never>;
        callback(message: { channel: string | Uint8Array; message: string | Uint8Array }): void;
      };
    }): Promise<{ subscribe(channels: string[], timeoutMs: number): Promise<void> }>;
  };
}

const ACK_MS = 5_000;

// Not a literal: its types would bring another version of Node's into every type check of this project.
const name = ["@valkey", "valkey-glide"].join("/");
const { GlideClient }: Glide = await import(name);
const redis = await GlideClient.createClient({
  addresses: [{ host: "127.0.0.1", port: task.port }],
  pubsubSubscriptions: {
    channelsAndPatterns: {},
    callback: ({ channel, message }) => add(String(channel), String(message)),
  },
});
await redis.subscribe(channels, ACK_MS);
ready();
