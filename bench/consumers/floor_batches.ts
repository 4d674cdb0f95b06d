/** The floor of batches: the least that hands out text, an array for each group of what was read. */

import type { Message } from "../../mod.ts";
import { group, hold, more } from "./floor_source.ts";
import { add } from "./tally.ts";

await consume();

async function consume(): Promise<void> {
  const stream = {};
  hold(stream);
  for (;;) {
    const batch: Message[] = [];
    if (group(stream, batch) === 0) await more();
    for (const { channel, payload, gap } of batch) {
      if (gap !== undefined) throw new Error("The floor tells no gaps");
      add(channel, payload);
    }
  }
}
