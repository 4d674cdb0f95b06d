/** Earshot: `batches()` of a `PubSub`, every default on; for bytes the codec `bytes`. */

import { bytes, Client } from "../../mod.ts";
import type { Gap } from "../../mod.ts";
import { add, addBytes, channels, ready, task } from "./tally.ts";

const redis = new Client(`redis://127.0.0.1:${task.port}`);
await (task.payload === "text" ? readText() : readBytes());

async function readText(): Promise<void> {
  const pubsub = await redis.subscribe(channels);
  ready();
  for await (const batch of pubsub.batches()) {
    for (const { channel, payload, gap } of batch) {
      if (gap !== undefined) lost(gap);
      add(channel, payload);
    }
  }
}

async function readBytes(): Promise<void> {
  const pubsub = await redis.subscribe(channels, { codec: bytes });
  ready();
  for await (const batch of pubsub.batches()) {
    for (const { channel, payload, gap } of batch) {
      if (gap !== undefined) lost(gap);
      addBytes(channel, payload);
    }
  }
}

function lost({ reasons, dropped }: Gap): never {
  throw new Error(`Messages were lost: ${reasons}, ${dropped}`);
}
