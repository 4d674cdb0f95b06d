/** Earshot: `for await` over a `PubSub`, every default on. */

import { Client } from "../../mod.ts";
import { channels, ready, Tally, task } from "./tally.ts";

const redis = new Client(`redis://127.0.0.1:${task().port}`);
const pubsub = await redis.subscribe(channels());
const tally = new Tally();
ready();
for await (const { channel, payload, gap } of pubsub) {
  if (gap !== undefined) throw new Error(`Messages were lost: ${gap.dropped}`);
  tally.add(channel, payload);
}
