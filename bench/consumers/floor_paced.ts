/** The floor of `for await` with a message at a time. */

import { subscribeAlone } from "./floor_alone.ts";
import { add, channels, ready, task } from "./tally.ts";

/** Of the one cell that is paced. */
const PAYLOAD_BYTES = 16;

await consume();

async function consume(): Promise<void> {
  const messages = await subscribeAlone(task.port, channels[0]!, PAYLOAD_BYTES);
  ready();
  for await (const { channel, payload, gap } of messages) {
    if (gap !== undefined) throw new Error("The floor tells no gaps");
    add(channel, payload);
  }
}
