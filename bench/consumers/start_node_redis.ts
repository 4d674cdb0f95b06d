/** node-redis, every default on. */

import { createClient } from "redis";
import type { FirstMessage } from "./start.ts";

export const firstMessage: FirstMessage = async (port, channel) => {
  const redis = createClient({ socket: { host: "127.0.0.1", port } });
  redis.on("error", (error: Error) => {
    throw error;
  });
  await redis.connect();
  return await new Promise((resolve, reject) => void redis.subscribe(channel, resolve).catch(reject));
};
