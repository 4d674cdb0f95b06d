import { Queue } from "../../src/stream/queue.ts";
import { QueueStream } from "../../src/stream/stream.ts";
import { turn } from "../support/turn.ts";

/** A queue with its stream, and a note of what the queue was cancelled with. */
export interface Pipe {
  readonly queue: Queue<number>;
  readonly stream: QueueStream<number>;
  readonly cancels: unknown[];
}

/** Makes a pipe that holds `items`; `onCancel` is awaited by whoever cancels. */
export function pipe(items: Iterable<number> = [], onCancel: () => Promise<void> = () => Promise.resolve()): Pipe {
  const cancels: unknown[] = [];
  const queue = new Queue<number>((reason) => {
    cancels.push(reason);
    return onCancel();
  });
  for (const item of items) queue.put(item);
  return { queue, stream: new QueueStream(queue), cancels };
}

/** A pipe whose platform queue holds the item 1, which the read of a reader that has gone left behind. */
export async function pipeWithLeftOver(): Promise<Pipe> {
  const made = pipe();
  const reader = made.stream.getReader();
  const pending = reader.read();
  await turn();
  reader.releaseLock();
  await pending.catch(() => {});
  made.queue.put(1);
  await turn();
  if (made.queue.size > 0) throw new Error("The platform holds no item");
  return made;
}
