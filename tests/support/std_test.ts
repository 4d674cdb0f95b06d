/**
 * What the tests take from `@std`, as cases that both the packages and their stand-ins in `std/` must agree on: this file
 * runs on whichever is mapped.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  AssertionError,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { deadline, delay } from "@std/async";
import { test } from "./test.ts";

const object = { a: 1 };

const ACCEPTED: [what: string, check: () => void][] = [
  ["assert of a truthy value", () => assert("a")],
  ["assertEquals of equal numbers", () => assertEquals(1, 1)],
  ["assertEquals of NaN and NaN", () => assertEquals(NaN, NaN)],
  ["assertEquals of deeply equal values", () => assertEquals({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })],
  ["assertEquals of equal bytes", () => assertEquals(new Uint8Array([1, 2]), new Uint8Array([1, 2]))],
  ["assertEquals of equal maps", () => assertEquals(new Map([["a", 1]]), new Map([["a", 1]]))],
  ["assertEquals of equal sets", () => assertEquals(new Set([1]), new Set([1]))],
  ["assertEquals of equal dates", () => assertEquals(new Date(1), new Date(1))],
  ["assertStrictEquals of one object", () => assertStrictEquals(object, object)],
  ["assertMatch of a match", () => assertMatch("abc", /b/)],
  ["assertStringIncludes of a part", () => assertStringIncludes("abc", "b")],
  ["assertInstanceOf of a subclass", () => assertInstanceOf(new RangeError("a"), Error)],
  [
    "assertThrows of the class and the text",
    () => void assertThrows(() => fail(new RangeError("abc")), RangeError, "b"),
  ],
  ["assertThrows of a subclass", () => void assertThrows(() => fail(new RangeError("abc")), Error)],
];

const REFUSED: [what: string, check: () => void][] = [
  ["assert of a falsy value", () => assert(0)],
  ["assertEquals of different numbers", () => assertEquals(1, 2)],
  ["assertEquals of a number and its text", () => assertEquals<unknown>(1, "1")],
  ["assertEquals with one field more", () => assertEquals<unknown>({ a: 1, b: 2 }, { a: 1 })],
  ["assertEquals of different bytes", () => assertEquals(new Uint8Array([1, 2]), new Uint8Array([1, 3]))],
  ["assertEquals of bytes of different length", () => assertEquals(new Uint8Array([1]), new Uint8Array([1, 0]))],
  ["assertEquals of different maps", () => assertEquals(new Map([["a", 1]]), new Map([["a", 2]]))],
  ["assertEquals of different sets", () => assertEquals(new Set([1]), new Set([2]))],
  ["assertEquals of different dates", () => assertEquals(new Date(1), new Date(2))],
  ["assertEquals of another class", () => assertEquals<unknown>(new Map(), new Set())],
  ["assertStrictEquals of equal objects", () => assertStrictEquals({ a: 1 }, object)],
  ["assertMatch of no match", () => assertMatch("abc", /d/)],
  ["assertStringIncludes of something else", () => assertStringIncludes("abc", "d")],
  ["assertInstanceOf of another class", () => assertInstanceOf(new RangeError("a"), TypeError)],
  ["assertThrows where nothing is thrown", () => void assertThrows(() => {}, Error)],
  ["assertThrows of another class", () => void assertThrows(() => fail(new RangeError("abc")), TypeError)],
  ["assertThrows of another text", () => void assertThrows(() => fail(new RangeError("abc")), RangeError, "d")],
];

function fail(error: Error): never {
  throw error;
}

/** What a function threw; told apart from nothing. */
function thrown(check: () => void): { error: unknown } | undefined {
  try {
    check();
  } catch (error) {
    return { error };
  }
}

for (const [what, check] of ACCEPTED) {
  test(`Accepted: ${what}`, check);
}

for (const [what, check] of REFUSED) {
  test(`Refused: ${what}`, () => {
    const failure = thrown(check);
    if (!(failure?.error instanceof AssertionError)) throw new Error(`Expected an AssertionError: ${failure?.error}`);
  });
}

const REJECTIONS: [what: string, check: () => Promise<unknown>, accepted: boolean][] = [
  [
    "of the class and the text",
    () => assertRejects(() => Promise.reject(new RangeError("abc")), RangeError, "b"),
    true,
  ],
  ["where nothing rejects", () => assertRejects(() => Promise.resolve(), Error), false],
  ["of another class", () => assertRejects(() => Promise.reject(new RangeError("abc")), TypeError), false],
  ["of another text", () => assertRejects(() => Promise.reject(new RangeError("abc")), RangeError, "d"), false],
];

for (const [what, check, accepted] of REJECTIONS) {
  test(`${accepted ? "Accepted" : "Refused"}: assertRejects ${what}`, async () => {
    const outcome = await check().then(() => undefined, (error: unknown) => ({ error }));
    if (accepted) assertEquals(outcome, undefined);
    else assertInstanceOf(outcome?.error, AssertionError);
  });
}

test("assertThrows and assertRejects give the error", async () => {
  const error = new RangeError("abc");
  assertStrictEquals(assertThrows(() => fail(error), RangeError), error);
  assertStrictEquals(await assertRejects(() => Promise.reject(error), RangeError), error);
});

test("delay resolves, and rejects with the reason of its signal, also of one that is already aborted", async () => {
  await delay(1);
  const abort = new AbortController();
  const waiting = delay(60_000, { signal: abort.signal });
  abort.abort(new RangeError("enough"));
  await assertRejects(() => waiting, RangeError, "enough");
  await assertRejects(() => delay(60_000, { signal: abort.signal }), RangeError, "enough");
});

test("deadline gives the outcome in time, and a TimeoutError when it is late", async () => {
  assertEquals(await deadline(Promise.resolve(1), 60_000), 1);
  await assertRejects(() => deadline(Promise.reject(new RangeError("abc")), 60_000), RangeError, "abc");
  const late = await assertRejects(() => deadline(new Promise<void>(() => {}), 1), DOMException);
  assertEquals(late.name, "TimeoutError");
});
