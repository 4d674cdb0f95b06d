/** A stand-in for `@std/assert` where JSR cannot be reached: just what the tests use, over `node:assert`. */
import nodeAssert from "node:assert/strict";

export { AssertionError } from "node:assert";

/** From Node 26 on a message that is undefined is refused. */
function given(message: string | undefined): [string] | [] {
  return message === undefined ? [] : [message];
}

export function assert(condition: unknown, message?: string): asserts condition {
  nodeAssert.ok(condition, message);
}

export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.deepStrictEqual(actual, expected, ...given(message));
}

export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  nodeAssert.strictEqual(actual, expected, ...given(message));
}

export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  nodeAssert.match(actual, expected, ...given(message));
}

export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  nodeAssert.ok(
    actual.includes(expected),
    message ?? `Expected ${JSON.stringify(actual)} to include ${JSON.stringify(expected)}`,
  );
}

type ErrorClass<E extends Error> = new (...args: never[]) => E;

export function assertInstanceOf<E extends Error>(
  actual: unknown,
  expected: ErrorClass<E>,
  message?: string,
): asserts actual is E {
  nodeAssert.ok(actual instanceof expected, message ?? `Expected an instance of ${expected.name}: ${String(actual)}`);
}

export function assertThrows<E extends Error>(run: () => unknown, kind: ErrorClass<E>, includes = ""): E {
  let thrown: unknown;
  try {
    run();
  } catch (error) {
    thrown = error;
  }
  nodeAssert.ok(thrown !== undefined, "Expected the function to throw");
  assertInstanceOf(thrown, kind);
  assertStringIncludes(thrown.message, includes);
  return thrown;
}

export async function assertRejects<E extends Error>(
  run: () => PromiseLike<unknown>,
  kind: ErrorClass<E>,
  includes = "",
): Promise<E> {
  let thrown: unknown;
  let rejected = false;
  try {
    await run();
  } catch (error) {
    thrown = error;
    rejected = true;
  }
  nodeAssert.ok(rejected, "Expected the promise to reject");
  assertInstanceOf(thrown, kind);
  assertStringIncludes(thrown.message, includes);
  return thrown;
}
