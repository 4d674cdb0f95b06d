/** The floor of batches: the least that hands out text, an array for each group of what was read. */

import { group, type Message, more } from "./floor_source.ts";
import { add } from "./tally.ts";

const items: Message[] = [];

for (;;) {
  const count = group(items);
  if (count === 0) await more();
  for (let i = 0; i < count; i++) {
    const { channel, payload } = items[i]!;
    add(channel, payload);
  }
}
