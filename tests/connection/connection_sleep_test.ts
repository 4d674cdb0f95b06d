/** A machine that sleeps hears nothing and sends nothing; when it wakes, it must find out at once what is left. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { TimeoutError } from "../../src/errors.ts";
import type { ManualClock } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { PONG } from "../support/wire.ts";
import { Bench } from "./connection_bench.ts";

const keepAlive = { idleMs: 10_000, timeoutMs: 2_000 };
const HOUR = 3_600_000;

/** How the clock shows that the machine slept. */
const SLEEPS: readonly (readonly [clock: string, sleep: (clock: ManualClock) => Promise<void>])[] = [
  ["that went on", (clock) => clock.jump(HOUR)],
  ["that stood still", (clock) => Promise.resolve(clock.sleep(HOUR))],
];

function pings(bench: Bench): number {
  return bench.server.peer.commands.filter((command) => command === "PING").length;
}

for (const [clock, sleep] of SLEEPS) {
  test(`by a clock ${clock}, a machine that wakes probes within two seconds, not after the silence it is used to`, async () => {
    const bench = new Bench({ keepAlive });
    await bench.start("a");
    await sleep(bench.clock);
    await bench.clock.advance(2_000);
    assertEquals([pings(bench), bench.cause], [1, undefined]);
    await bench.clock.advance(7_900);
    assertEquals([pings(bench), bench.cause], [1, undefined]);
  });

  test(`by a clock ${clock}, a connection that did not survive the sleep is found out in the time of one probe`, async () => {
    const bench = new Bench({ keepAlive });
    await bench.start("a");
    bench.server.state = "frozen";
    await sleep(bench.clock);
    await bench.clock.advance(2_000 + 2_000 + 60);
    assertInstanceOf(bench.cause, TimeoutError);
  });

  test(`by a clock ${clock}, a PONG that was due when the machine fell asleep has its full time when it wakes`, async () => {
    const bench = new Bench({ keepAlive });
    await bench.start("a");
    bench.server.state = "frozen";
    await bench.clock.advance(11_900);
    assertEquals(bench.cause, undefined);
    await sleep(bench.clock);
    await bench.clock.advance(1_900);
    assertEquals(bench.cause, undefined);
    bench.server.state = "open";
    bench.server.send(PONG);
    await bench.clock.advance(9_000);
    assertEquals(bench.cause, undefined);
  });

  test(`by a clock ${clock}, an answer that was due when the machine fell asleep has its full time when it wakes`, async () => {
    const bench = new Bench({ answer: ([verb]) => verb === "SUBSCRIBE" ? [] : undefined });
    await bench.start("a");
    await bench.clock.advance(2_900);
    await sleep(bench.clock);
    await bench.clock.advance(2_900);
    assertEquals(bench.cause, undefined);
    await bench.clock.advance(300);
    assertInstanceOf(bench.cause, TimeoutError);
  });
}

test("a program that is always late finds out all the same", async () => {
  const bench = new Bench({ keepAlive });
  await bench.start("a");
  bench.server.state = "frozen";
  for (let i = 0; i < 8 && bench.cause === undefined; i++) await bench.clock.jump(4_000);
  assertInstanceOf(bench.cause, TimeoutError);
});

test("a sleep while it is paused changes nothing", async () => {
  const bench = new Bench({ keepAlive });
  await bench.start("a");
  bench.connection.pause();
  for (const [, sleep] of SLEEPS) await sleep(bench.clock);
  await bench.clock.advance(60_000);
  assertEquals([pings(bench), bench.cause], [0, undefined]);
});

test("a date that is set back, or a second forward, is no sleep", async () => {
  const bench = new Bench({ keepAlive });
  await bench.start("a");
  for (const ms of [-HOUR, 900]) {
    bench.clock.sleep(ms);
    await bench.clock.advance(4_000);
  }
  assertEquals([pings(bench), bench.cause], [0, undefined]);
});
