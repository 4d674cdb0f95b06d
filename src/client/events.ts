/**
 * What happens to a connection, told to whoever listens.
 *
 * @module
 */

import type { Clock } from "../connection/clock.ts";
import type { ClientEvent, ClientEventBody } from "../event.ts";
import { Queue } from "../stream/queue.ts";
import { QueueStream } from "../stream/stream.ts";

/** How many events may wait in one stream of events; the oldest go first. */
const MOST_EVENTS = 1_024;

/** The events of one subscriber: `onEvent`, and any number of streams. */
export class Events {
  #clock: Clock;
  #onEvent: ((event: ClientEvent) => void) | undefined;
  #queues = new Set<Queue<ClientEvent>>();
  #state: "open" | "ended" = "open";

  /** Has no streams yet. */
  constructor(clock: Clock, onEvent: ((event: ClientEvent) => void) | undefined) {
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  /** The events from now on. */
  stream(): ReadableStream<ClientEvent> {
    const queue = new Queue<ClientEvent>(() => {
      this.#queues.delete(queue);
      return Promise.resolve();
    });
    if (this.#state === "open") this.#queues.add(queue);
    else queue.end();
    return new QueueStream(queue);
  }

  /** Does anybody listen? */
  get isHeard(): boolean {
    return this.#onEvent !== undefined || this.#queues.size > 0;
  }

  /** Tells an event to all. */
  emit(body: ClientEventBody, endpoint?: string): void {
    if (!this.isHeard) return;
    const event: ClientEvent = { ...body, endpoint, at: this.#clock.date() };
    for (const queue of this.#queues) {
      if (queue.size >= MOST_EVENTS) queue.take();
      queue.put(event);
    }
    try {
      const result: unknown = this.#onEvent?.(event);
      if (result instanceof Promise) result.catch(() => {});
    } catch {
      // An observer that throws hurts nobody, and there is nobody to tell it to.
    }
  }

  /** No stream gets more. */
  end(): void {
    this.#state = "ended";
    for (const queue of this.#queues) queue.end();
  }
}
