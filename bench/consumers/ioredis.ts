/** ioredis 5: payloads to a callback, every default on; for bytes its event of buffers. */

import { Redis } from "ioredis";
import { add, addBytes, channels, ready, task } from "./tally.ts";

const redis = new Redis(task.port, "127.0.0.1");
redis.on("error", (error: Error) => {
  throw error;
});
if (task.payload === "text") {
  redis.on("message", (channel: string, payload: string) => add(channel, payload));
} else {
  redis.on("messageBuffer", (channel: Uint8Array, payload: Uint8Array) => addBytes(channel, payload));
}
await redis.subscribe(...channels);
ready();
