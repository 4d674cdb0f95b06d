/** Earshot: every default on, but for the delay before it reconnects, which is the least there is. */

import { Client } from "../../mod.ts";
import { FIRST, run, task } from "./subscribe_run.ts";

await run(async () => {
  const redis = new Client({ host: "127.0.0.1", port: task.port, reconnect: { initialDelayMs: 1, jitter: 0 } });
  const pubsub = await redis.subscribe(FIRST);
  return {
    subscribe: (names) => pubsub.subscribe(names),
    unsubscribe: (names) => pubsub.unsubscribe(names),
    restored: async (cut) => {
      await cut();
      await pubsub.synced();
    },
  };
});
