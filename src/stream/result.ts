/**
 * What a call of `next` resolves with: plain objects, as literals would make them. V8 may decide for good that what a
 * literal makes is long-lived, as message.ts tells; of an object that begins empty it notes nothing. What a constructor
 * makes, a promise takes more slowly: a whole message took a sixth longer on Deno and Node.
 *
 * @module
 */

/** One of the items. */
export function yielded<T>(value: T): IteratorYieldResult<T> {
  const result = {} as IteratorYieldResult<T>;
  result.value = value;
  result.done = false;
  return result;
}

/** The end. */
export function returned<T>(value: T): IteratorReturnResult<T> {
  const result = {} as IteratorReturnResult<T>;
  result.value = value;
  result.done = true;
  return result;
}
