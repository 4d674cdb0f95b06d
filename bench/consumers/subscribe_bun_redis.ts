/** Bun's own client. It reconnects by itself, and subscribes to nothing then (seen with 1.4.5). */

import { FIRST, run, task } from "./subscribe_run.ts";

/** The part of it that is used here. */
interface RedisClient {
  connect(): Promise<void>;
  subscribe(channels: string | string[], listener: () => void): Promise<unknown>;
  unsubscribe(channels: string[]): Promise<unknown>;
}

declare const Bun: { readonly RedisClient: new (url: string) => RedisClient };

await run(async () => {
  const redis = new Bun.RedisClient(`redis://127.0.0.1:${task.port}`);
  await redis.connect();
  await redis.subscribe(FIRST, () => {});
  return {
    subscribe: (names) => redis.subscribe(names, () => {}),
    unsubscribe: (names) => redis.unsubscribe(names),
  };
});
