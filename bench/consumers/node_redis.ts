/** node-redis: text payloads to a callback, every default on. */

import { createClient } from "redis";
import { channels, ready, Tally, task } from "./tally.ts";

const redis = createClient({ url: `redis://127.0.0.1:${task().port}` });
redis.on("error", (error: Error) => {
  throw error;
});
await redis.connect();
const tally = new Tally();
await redis.subscribe(
  channels(),
  (payload, channel) => tally.add(channel, payload),
);
ready();
