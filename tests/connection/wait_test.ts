import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { sleep, unlessAborted, within } from "../../src/connection/wait.ts";
import { TimeoutError } from "../../src/errors.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

const never = new Promise<never>(() => {});

/** An abort signal that tells how many listen to it. */
function listenedSignal(): { abort: AbortController; listeners: () => number } {
  const abort = new AbortController();
  let listeners = 0;
  const { signal } = abort;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  return { abort, listeners: () => listeners };
}

test("without limits the promise itself is given", () => {
  const promise = Promise.resolve(1);
  assertStrictEquals(within(promise, "PONG", {}, new ManualClock()), promise);
});

test("what comes in time is given, and leaves neither timer nor listener", async () => {
  const clock = new ManualClock();
  const { abort, listeners } = listenedSignal();
  const options = { timeoutMs: 100, signal: abort.signal };
  assertEquals(await within(Promise.resolve(7), "PONG", options, clock), 7);
  const failure = new Error("no");
  assertStrictEquals(
    await assertRejects(() => within(Promise.reject(failure), "PONG", options, clock), Error),
    failure,
  );
  assertEquals([clock.pending, listeners()], [0, 0]);
});

test("what does not come in time is a TimeoutError, and leaves neither timer nor listener", async () => {
  const clock = new ManualClock();
  const { abort, listeners } = listenedSignal();
  const waiting = within(never, "PONG", { timeoutMs: 100, signal: abort.signal }, clock);
  const rejected = assertRejects(() => waiting, TimeoutError, "No answer within 100 ms: PONG");
  await clock.advance(99);
  assertEquals(clock.pending, 1);
  await clock.advance(1);
  await rejected;
  assertEquals([clock.pending, listeners()], [0, 0]);
});

test("an abort gives its own reason, before and while waiting, and leaves no timer", async () => {
  const clock = new ManualClock();
  const reason = new Error("enough");
  const early = within(never, "PONG", { timeoutMs: 100, signal: AbortSignal.abort(reason) }, clock);
  assertStrictEquals(await assertRejects(() => early, Error), reason);
  const abort = new AbortController();
  const late = within(never, "PONG", { timeoutMs: 100, signal: abort.signal }, clock);
  abort.abort(reason);
  assertStrictEquals(await assertRejects(() => late, Error), reason);
  assertEquals(clock.pending, 0);
});

test("a failure after the time is up is nobody's", async () => {
  const clock = new ManualClock();
  let fail = (_: Error) => {};
  const promise = new Promise<void>((_, reject) => fail = reject);
  const rejected = assertRejects(() => within(promise, "PONG", { timeoutMs: 1 }, clock), TimeoutError);
  await clock.advance(1);
  await rejected;
  fail(new Error("late"));
  await settle();
});

test("nothing is run for a signal that is aborted already", async () => {
  let ran = 0;
  const reason = new Error("enough");
  const run = () => Promise.resolve(ran++);
  assertStrictEquals(await assertRejects(() => unlessAborted(AbortSignal.abort(reason), run), Error), reason);
  assertEquals(ran, 0);
});

test("what runs is given, or its failure, and no listener is left", async () => {
  const { abort, listeners } = listenedSignal();
  assertEquals(await unlessAborted(abort.signal, () => Promise.resolve(7)), 7);
  await assertRejects(() => unlessAborted(abort.signal, () => Promise.reject(new TypeError("no"))), TypeError);
  const throws = () =>
    unlessAborted(abort.signal, () => {
      throw new RangeError("at once");
    });
  await assertRejects(throws, RangeError);
  await settle();
  assertEquals(listeners(), 0);
});

test("what comes after the abort is discarded, once, and a late failure is nobody's", async () => {
  const abort = new AbortController();
  const discarded: number[] = [];
  let arrive = (_: number) => {};
  const late = new Promise<number>((resolve) => arrive = resolve);
  let fail = (_: Error) => {};
  const failing = new Promise<number>((_, reject) => fail = reject);
  const given = unlessAborted(abort.signal, () => late, (value) => discarded.push(value));
  const failed = unlessAborted(abort.signal, () => failing, (value) => discarded.push(value));
  const rejections = [given, failed].map((promise) => assertRejects(() => promise, Error, "enough"));
  abort.abort(new Error("enough"));
  await Promise.all(rejections);
  assert(discarded.length === 0);
  arrive(7);
  fail(new Error("late"));
  await settle();
  assertEquals(discarded, [7]);
});

test("sleep ends with its time or with an abort, and leaves neither timer nor listener", async () => {
  const clock = new ManualClock();
  const { abort, listeners } = listenedSignal();
  const ended: string[] = [];
  sleep(100, abort.signal, clock).then(() => ended.push("in time"));
  sleep(200, abort.signal, clock).then(() => ended.push("aborted"));
  await clock.advance(99);
  assertEquals(ended, []);
  await clock.advance(1);
  assertEquals(ended, ["in time"]);
  abort.abort();
  await settle();
  assertEquals(ended, ["in time", "aborted"]);
  await sleep(100, abort.signal, clock);
  assertEquals([clock.pending, listeners()], [0, 0]);
});
