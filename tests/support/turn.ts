/** Lets everything happen that is due: a turn of the event loop, with all its microtasks. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Has the promise settled by the end of this turn? */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let state: "pending" | "settled" = "pending";
  const settle = () => state = "settled";
  promise.then(settle, settle);
  await turn();
  return state as string === "settled";
}

/** Everything that is left in a stream. */
export async function all<T>(stream: ReadableStream<T>): Promise<T[]> {
  const items: T[] = [];
  const reader = stream.getReader();
  for (let step = await reader.read(); !step.done; step = await reader.read()) items.push(step.value);
  reader.releaseLock();
  return items;
}
