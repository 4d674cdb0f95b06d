/** Bun's own client, every default on. */

import type { FirstMessage } from "./start.ts";

/** The part of it that is used here. */
interface RedisClient {
  connect(): Promise<void>;
  subscribe(channel: string, listener: (payload: string) => void): Promise<unknown>;
}

declare const Bun: { readonly RedisClient: new (url: string) => RedisClient };

export const firstMessage: FirstMessage = async (port, channel) => {
  const redis = new Bun.RedisClient(`redis://127.0.0.1:${port}`);
  await redis.connect();
  return await new Promise((resolve, reject) => void redis.subscribe(channel, resolve).catch(reject));
};
