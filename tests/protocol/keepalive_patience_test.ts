import { assertEquals } from "@std/assert";
import { LAST_LOOK_MS, Patience } from "../../src/protocol/keepalive.ts";
import { test } from "../support/test.ts";

type State = "full" | "last-look" | "extended" | "paused";
const TIMEOUT = 1_000;
/** When each state begins, for a machine that starts at 0. */
const BEGINS = { full: 0, "last-look": 1_000, extended: 1_010, paused: 0 } as const;
const DEADLINES = { full: 1_000, "last-look": 1_000 + LAST_LOOK_MS, extended: 2_010, paused: Infinity } as const;
const STATES: readonly State[] = ["full", "last-look", "extended", "paused"];

/** The machine in a state, as time leads there. */
function inState(state: State): Patience {
  const patience = new Patience(0);
  if (state === "paused") patience.pause();
  if (state === "last-look" || state === "extended") assertEquals(patience.isOver(1_000, TIMEOUT), false);
  if (state === "extended") patience.heard(1_010);
  assertEquals([patience.deadline(TIMEOUT), patience.paused], [DEADLINES[state], state === "paused"]);
  return patience;
}

for (const state of STATES) {
  const deadline = DEADLINES[state];
  const now = BEGINS[state] + 1;

  test(`while ${state} it is not over before its deadline`, () => {
    const patience = inState(state);
    assertEquals(patience.isOver(Math.min(deadline - 1, 1e9), TIMEOUT), false);
    assertEquals(patience.deadline(TIMEOUT), deadline);
  });

  test(`an answer while ${state} gives the next one its full time, unless it is paused`, () => {
    const patience = inState(state);
    patience.renew(now);
    assertEquals(patience.deadline(TIMEOUT), state === "paused" ? Infinity : now + 1_000);
    if (state !== "paused") assertEquals(patience.isOver(now + 1_000, TIMEOUT), false);
  });

  test(`a word that is no answer while ${state} ${state === "last-look" ? "extends it" : "changes nothing"}`, () => {
    const patience = inState(state);
    patience.heard(now);
    assertEquals(patience.deadline(TIMEOUT), state === "last-look" ? now + 1_000 : deadline);
  });

  test(`a pause while ${state} stops the clock, and after it all has its full time`, () => {
    const patience = inState(state);
    patience.pause();
    assertEquals([patience.paused, patience.deadline(TIMEOUT), patience.isOver(1e9, TIMEOUT)], [true, Infinity, false]);
    patience.resume(1e9);
    assertEquals([patience.paused, patience.deadline(TIMEOUT)], [false, 1e9 + 1_000]);
    assertEquals(patience.isOver(1e9 + 1_000, TIMEOUT), false);
  });
}

for (const state of STATES) {
  const excused = state === "full" || state === "last-look";
  test(`to wake while ${state} ${excused ? "gives the answer its full time once more" : "changes nothing"}`, () => {
    const patience = inState(state);
    patience.wake(1e9);
    assertEquals(patience.deadline(TIMEOUT), excused ? 1e9 + 1_000 : DEADLINES[state]);
    patience.wake(2e9);
    assertEquals(patience.deadline(TIMEOUT), excused ? 1e9 + 1_000 : DEADLINES[state]);
  });
}

test("at the deadline the last look begins, and after it, or after an extension, all is over", () => {
  const silent = inState("full");
  assertEquals([silent.isOver(5_000, TIMEOUT), silent.deadline(TIMEOUT)], [false, 5_000 + LAST_LOOK_MS]);
  assertEquals(silent.isOver(5_000 + LAST_LOOK_MS, TIMEOUT), true);
  const busy = inState("extended");
  busy.heard(2_000);
  assertEquals(busy.isOver(2_010, TIMEOUT), true);
});
