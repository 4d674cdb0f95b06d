/** ioredis 5: one command for all names. It reconnects at once, and does not say when all are there again. */

import { Redis } from "ioredis";
import { FIRST, run, task } from "./subscribe_run.ts";

await run(async () => {
  const redis = new Redis({ host: "127.0.0.1", port: task.port, retryStrategy: () => 0 });
  // The connection is cut on purpose.
  redis.on("error", () => {});
  await redis.subscribe(FIRST);
  return {
    subscribe: (names) => redis.subscribe(...names),
    unsubscribe: (names) => redis.unsubscribe(...names),
  };
});
