import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/connection/clock.ts";
import { test } from "../support/test.ts";

function after(ms: number): Promise<number> {
  const start = systemClock.now();
  return new Promise((resolve) => void systemClock.after(ms, () => resolve(systemClock.now() - start)));
}

test("A timer of the system's clock does not come early, and what is past comes at once", async () => {
  // A timer may be a fraction of a millisecond early on the finer clock.
  assert(await after(5) >= 4);
  assert(await after(-5) < 1_000);
});

test("A timer that is called off does not come, and no wait is so long that it overflows to nothing", async () => {
  const came: string[] = [];
  const callOff = [
    systemClock.after(0, () => came.push("called off")),
    systemClock.after(2 ** 40, () => came.push("in 34 years")),
  ];
  callOff[0]!();
  await after(5);
  callOff[1]!();
  assertEquals(came, []);
});

test("The date is that of the platform, and chance is at least 0 and less than 1", () => {
  assert(Math.abs(systemClock.date() - Date.now()) < 1_000);
  for (let i = 0; i < 100; i++) {
    const random = systemClock.random();
    assert(random >= 0 && random < 1);
  }
});
