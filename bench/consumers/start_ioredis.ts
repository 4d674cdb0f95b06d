/** ioredis 5, every default on. */

import { Redis } from "ioredis";
import type { FirstMessage } from "./start.ts";

export const firstMessage: FirstMessage = (port, channel) =>
  new Promise((resolve, reject) => {
    const redis = new Redis(port, "127.0.0.1");
    redis.on("error", reject);
    redis.on("message", (_: string, payload: string) => resolve(payload));
    void redis.subscribe(channel).catch(reject);
  });
