/** The floor of `for await`: the least that hands out text, and a promise for each message. */

import type { Message } from "../../mod.ts";
import { group, more } from "./floor_source.ts";
import { add } from "./tally.ts";

/** Messages, one promise each. */
class Least implements AsyncIterableIterator<Message> {
  #items: Message[] = [];
  #at = 0;
  #count = 0;

  next(): Promise<IteratorResult<Message>> {
    if (this.#at === this.#count) {
      this.#at = 0;
      this.#count = group(this.#items);
      if (this.#count === 0) return more().then(() => this.next());
    }
    return Promise.resolve({ value: this.#items[this.#at++]!, done: false });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

await consume();

async function consume(): Promise<void> {
  for await (const { channel, payload, gap } of new Least()) {
    if (gap !== undefined) throw new Error("The floor tells no gaps");
    add(channel, payload);
  }
}
