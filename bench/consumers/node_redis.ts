/** node-redis: payloads to a callback, every default on; for bytes its buffer mode. */

import { createClient } from "redis";
import { add, addBytes, channels, ready, task } from "./tally.ts";

const redis = createClient({ url: `redis://127.0.0.1:${task.port}` });
redis.on("error", (error: Error) => {
  throw error;
});
await redis.connect();
if (task.payload === "text") {
  await redis.subscribe(channels, (payload, channel) => add(channel, payload));
} else {
  await redis.subscribe(channels, (payload, channel) => addBytes(channel, payload), true);
}
ready();
