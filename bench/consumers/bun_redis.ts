/** Bun's own client: text payloads to a callback, every default on. It has no payloads of bytes. */

import { add, channels, ready, task } from "./tally.ts";

/** The part of it that is used here. */
interface RedisClient {
  connect(): Promise<void>;
  subscribe(channels: string[], listener: (message: string, channel: string) => void): Promise<unknown>;
}

declare const Bun: { readonly RedisClient: new (url: string) => RedisClient };

const redis = new Bun.RedisClient(`redis://127.0.0.1:${task.port}`);
await redis.connect();
await redis.subscribe(channels, (payload, channel) => add(channel, payload));
ready();
