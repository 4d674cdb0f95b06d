/** The floor of `for await`: the least that hands out text, and a promise for each message, may be ended, and tells gaps and how many it gave. */

import type { Gap, Message } from "../../mod.ts";
import { group, hold, more } from "./floor_source.ts";
import { add } from "./tally.ts";

/** Messages, one promise each. */
class Least implements AsyncIterableIterator<Message> {
  #items: Message[] = [];
  #at = 0;
  #count = 0;
  #state: "open" | "ended" = "open";
  /** What is missing before the next message. */
  #gap: Gap | undefined;
  delivered = 0;

  constructor() {
    hold(this);
  }

  next(): Promise<IteratorResult<Message>> {
    if (this.#at === this.#count) {
      this.#at = 0;
      this.#count = group(this, this.#items);
      if (this.#count === 0) return more().then(() => this.next());
    }
    if (this.#state === "ended") return Promise.resolve({ value: undefined, done: true });
    let value = this.#items[this.#at++]!;
    if (this.#gap !== undefined) {
      value = { ...value, gap: this.#gap };
      this.#gap = undefined;
    }
    this.delivered++;
    return Promise.resolve({ value, done: false });
  }

  return(): Promise<IteratorResult<Message>> {
    this.#state = "ended";
    return Promise.resolve({ value: undefined, done: true });
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
