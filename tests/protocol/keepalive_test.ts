import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { KeepAlive, type KeepAliveVerdict, LAST_LOOK_MS } from "../../src/protocol/keepalive.ts";
import { test } from "../support/test.ts";

const options = { idleMs: 1_000, timeoutMs: 300 };
type State = "listening" | "probing" | "last-look" | "paused";
/** When each state begins, for a machine that starts at 0. */
const BEGINS = { listening: 0, probing: 1_000, "last-look": 1_300 } as const;

/** The machine in a state, as time leads there. */
function inState(state: State): KeepAlive {
  const keepAlive = new KeepAlive(options, 0);
  if (state === "paused") keepAlive.pause();
  if (state === "probing" || state === "last-look") assertEquals(keepAlive.check(1_000), "ping");
  if (state === "last-look") assertEquals(keepAlive.check(1_300), "wait");
  return keepAlive;
}

test("silence leads to a PING, a last look and death, each once and none early", () => {
  const keepAlive = new KeepAlive(options, 0);
  const steps: readonly (readonly [now: number, KeepAliveVerdict, deadline: number])[] = [
    [0, "wait", 1_000],
    [999, "wait", 1_000],
    [1_000, "ping", 1_300],
    [1_000, "wait", 1_300],
    [1_299, "wait", 1_300],
    [1_300, "wait", 1_300 + LAST_LOOK_MS],
    [1_300 + LAST_LOOK_MS - 1, "wait", 1_300 + LAST_LOOK_MS],
    [1_300 + LAST_LOOK_MS, "dead", 1_300 + LAST_LOOK_MS],
  ];
  for (const [now, verdict, deadline] of steps) {
    assertEquals([now, keepAlive.check(now), keepAlive.deadline()], [now, verdict, deadline]);
  }
});

for (const state of ["listening", "probing", "last-look"] as const) {
  test(`anything heard while ${state} starts anew`, () => {
    const keepAlive = inState(state);
    const now = BEGINS[state] + 10;
    keepAlive.heard(now);
    assertEquals([keepAlive.deadline(), keepAlive.check(now + 999), keepAlive.check(now + 1_000)], [
      now + 1_000,
      "wait",
      "ping",
    ]);
  });

  test(`a pause while ${state} stops the clock, and after it the silence counts from zero`, () => {
    const keepAlive = inState(state);
    keepAlive.pause();
    assertEquals([keepAlive.deadline(), keepAlive.check(1e9)], [Infinity, "wait"]);
    keepAlive.resume(1e9);
    assertEquals([keepAlive.deadline(), keepAlive.check(1e9), keepAlive.check(1e9 + 1_000)], [
      1e9 + 1_000,
      "wait",
      "ping",
    ]);
  });
}

test("what is heard in a pause does not end it", () => {
  const keepAlive = inState("paused");
  keepAlive.heard(5_000);
  assertEquals([keepAlive.deadline(), keepAlive.check(1e9)], [Infinity, "wait"]);
});

test("a machine that slept is probed at once, then given its full time", () => {
  const keepAlive = inState("listening");
  assertEquals([keepAlive.check(1e9), keepAlive.deadline()], ["ping", 1e9 + 300]);
});

test("a machine that slept while probing takes its last look before it gives up", () => {
  const keepAlive = inState("probing");
  assertEquals([keepAlive.check(1e9), keepAlive.deadline()], ["wait", 1e9 + LAST_LOOK_MS]);
});

for (const state of ["listening", "probing", "last-look"] as const) {
  test(`to wake while ${state} makes a probe of full time, and only once in a silence`, () => {
    const keepAlive = inState(state);
    assertEquals([keepAlive.wake(1e9), keepAlive.deadline()], [state === "listening" ? "ping" : "wait", 1e9 + 300]);
    assertEquals([keepAlive.wake(2e9), keepAlive.deadline()], ["wait", 2e9 + LAST_LOOK_MS]);
    assertEquals(keepAlive.wake(3e9), "dead");
    keepAlive.heard(3e9);
    assertEquals(keepAlive.wake(4e9), "ping");
  });
}

test("to wake while paused, or without options, is nothing", () => {
  for (const keepAlive of [inState("paused"), new KeepAlive(false, 0)]) {
    assertEquals([keepAlive.wake(1e9), keepAlive.deadline()], ["wait", Infinity]);
  }
});

test("after a pause a sleep is excused again", () => {
  const keepAlive = inState("probing");
  keepAlive.wake(1e9);
  keepAlive.pause();
  keepAlive.resume(2e9);
  assertEquals(keepAlive.wake(3e9), "ping");
});

test("without options nothing is ever due", () => {
  const keepAlive = new KeepAlive(false, 0);
  assertEquals([keepAlive.deadline(), keepAlive.check(1e9)], [Infinity, "wait"]);
  keepAlive.resume(0);
  assertEquals([keepAlive.deadline(), keepAlive.check(1e9)], [Infinity, "wait"]);
});

test("however checks fall, a peer that answers every PING in time is never dead, and a silent one is", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 20, maxLength: 60 }), (steps) => {
    const answered = new KeepAlive(options, 0);
    const silent = new KeepAlive(options, 0);
    const verdicts: KeepAliveVerdict[] = [];
    let now = 0;
    for (const step of steps) {
      now += step;
      const verdict = answered.check(now);
      assert(verdict !== "dead");
      if (verdict === "ping") answered.heard(now + 299);
      verdicts.push(silent.check(now));
    }
    for (const ms of [1_000, 300, LAST_LOOK_MS]) verdicts.push(silent.check(now += ms));
    assertEquals(verdicts.at(-1), "dead");
    const dead = verdicts.indexOf("dead");
    assertEquals(verdicts.slice(0, dead).filter((verdict) => verdict === "ping").length, 1);
    assertEquals(new Set(verdicts.slice(dead)), new Set(["dead" as const]));
  }));
});
