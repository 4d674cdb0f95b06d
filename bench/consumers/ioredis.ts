/** ioredis 5: text payloads to a callback, every default on. */

import { Redis } from "ioredis";
import { channels, ready, Tally, task } from "./tally.ts";

const redis = new Redis(task().port, "127.0.0.1");
redis.on("error", (error: Error) => {
  throw error;
});
const tally = new Tally();
redis.on(
  "message",
  (channel: string, payload: string) => tally.add(channel, payload),
);
await redis.subscribe(...channels());
ready();
