/** node-redis: one command for all names. It reconnects at once, and is ready when all are there again. */

import { createClient } from "redis";
import { FIRST, run, task } from "./subscribe_run.ts";

await run(async () => {
  const redis = createClient({ socket: { host: "127.0.0.1", port: task.port, reconnectStrategy: () => 0 } });
  // The connection is cut on purpose.
  redis.on("error", () => {});
  await redis.connect();
  await redis.subscribe(FIRST, () => {});
  return {
    subscribe: (names) => redis.subscribe(names, () => {}),
    unsubscribe: (names) => redis.unsubscribe(names),
    restored: async (cut) => {
      const ready = new Promise((resolve) => redis.once("ready", resolve));
      await cut();
      await ready;
    },
  };
});
