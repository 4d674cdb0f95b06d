/** Earshot: every default on, but for the delay before it reconnects. */

import { Client } from "../../mod.ts";
import { FIRST, run, task } from "./subscribe_run.ts";

/** The least there is. */
const DELAY_MS = 1;

await run(async () => {
  const redis = new Client({ host: "127.0.0.1", port: task.port, reconnect: { initialDelayMs: DELAY_MS, jitter: 0 } });
  const pubsub = await redis.subscribe(FIRST);
  return {
    subscribe: (names) => pubsub.subscribe(names),
    unsubscribe: (names) => pubsub.unsubscribe(names),
    restored: async (cut) => {
      await cut();
      await pubsub.synced();
      // The delay counts from the cut on, and what is done for the lost connection takes longer: nothing is to be taken off.
      return 0;
    },
  };
});
