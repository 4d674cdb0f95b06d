import { assertEquals } from "@std/assert";
import { lossGap, merge, Place, replacedGap, settled } from "../../src/delivery/gap.ts";
import type { Gap } from "../../src/message.ts";
import { Dice } from "../support/dice.ts";
import { test } from "../support/test.ts";
import { EPOCH, FakeClock } from "./fake_owner.ts";

test("lossGap reckons back from now, in whole milliseconds", () => {
  const clock = new FakeClock();
  clock.ms = 8_000;
  assertEquals(lossGap(clock, 1_234.4, ["reconnect"]), {
    reasons: ["reconnect"],
    since: new Date(EPOCH + 8_000 - 1_234.4),
    downMs: 1_234,
    dropped: 0,
  });
});

const SINCE = EPOCH + 1_000;

function gap(since: number, downMs: number, rest: Partial<Gap> = {}): Gap {
  return { reasons: ["reconnect"], since: new Date(SINCE + since), downMs, dropped: 0, ...rest };
}

test("Times in which nothing was heard add up, and what two gaps both count is counted once", () => {
  const cases: readonly [Gap, Gap, Gap][] = [
    [gap(0, 100), gap(1_000, 30), gap(0, 130)],
    [gap(0, 100), gap(100, 30), gap(0, 130)],
    [gap(0, 100), gap(50, 100), gap(0, 150)],
    [gap(0, 100), gap(0, 250), gap(0, 250)],
    [gap(0, 100), gap(50, 10), gap(0, 100)],
  ];
  for (const [a, b, both] of cases) assertEquals([merge(a, b), merge(b, a)], [both, both]);
});

/** The loss that a stream is told of twice: on the first message after it, and when every name is back. */
const FIRST = gap(1_000, 40);
const WHOLE = gap(1_000, 90);

test("What was counted before is not counted again, whatever else has been merged", () => {
  const overflow = gap(0, 0, { reasons: ["overflow"], dropped: 3 });
  for (const earlier of [gap(0, 100), overflow, merge(overflow, gap(500, 100))!]) {
    const { downMs } = earlier;
    const inTurn = merge(merge(earlier, FIRST), WHOLE)!;
    assertEquals([inTurn.since, inTurn.downMs], [earlier.since, downMs + 90]);
    assertEquals(merge(merge(earlier, WHOLE), FIRST)!.downMs, downMs + 90);
    assertEquals(merge(merge(earlier, FIRST), merge(WHOLE, gap(2_000, 5)))!.downMs, downMs + 95);
    // A filled half leaves the rest; what was not filled still knows its times.
    assertEquals(merge(settled(merge(earlier, FIRST)!, "unfilled"), WHOLE)!.downMs, downMs + 90);
  }
});

test("Whatever gaps meet, and in whichever order, each millisecond is counted once", () => {
  const dice = new Dice(5);
  const some = (most: number) => Math.floor(dice.next() * most);
  for (let round = 0; round < 500; round++) {
    const gaps = Array.from({ length: 2 + some(8) }, () => gap(some(60), some(3) === 0 ? 0 : some(12)));
    const down = new Set(
      gaps.flatMap(({ since, downMs }) => Array.from({ length: downMs }, (_, i) => Number(since) + i)),
    );
    const waiting = [...gaps];
    while (waiting.length > 1) {
      const [a] = waiting.splice(some(waiting.length), 1);
      const at = some(waiting.length);
      waiting[at] = merge(a, waiting[at])!;
    }
    const since = new Date(Math.min(...gaps.map(({ since }) => Number(since))));
    assertEquals([waiting[0]!.since, waiting[0]!.downMs], [since, down.size]);
  }
});

test("Of very many losses the newest are told apart, and the sum of all is right", () => {
  let all: Gap | undefined;
  for (let i = 0; i < 10_000; i++) {
    all = merge(merge(all, gap(i * 100, 4)), gap(i * 100, 10));
  }
  assertEquals([all!.since.getTime(), all!.downMs], [SINCE, 100_000]);
});

test("Of two gaps the reasons come together, each once, and the dropped messages add up", () => {
  const a = gap(0, 5, { reasons: ["reconnect", "denied"], dropped: 1 });
  const b = gap(9, 0, { reasons: ["overflow", "reconnect"], dropped: 2 });
  assertEquals(merge(a, b), gap(0, 5, { reasons: ["reconnect", "denied", "overflow"], dropped: 3 }));
  assertEquals([merge(a, undefined), merge(undefined, b), merge(undefined, undefined)], [a, b, undefined]);
});

test("A gap that is filled leaves only the other to tell; one that may be filled yet opens the whole", () => {
  const filled = gap(0, 5, { backfill: "filled" });
  const unfilled = gap(10, 5, { backfill: "unfilled" });
  const open = gap(20, 5);
  assertEquals([merge(filled, open), merge(open, filled)], [open, open]);
  assertEquals([merge(filled, unfilled), merge(unfilled, filled)], [unfilled, unfilled]);
  assertEquals(merge(unfilled, open), gap(10, 10));
  assertEquals(merge(filled, gap(10, 5, { backfill: "filled" })), gap(0, 10, { backfill: "filled" }));
});

test("A message that replaces another one adds one to its gap", () => {
  const clock = new FakeClock();
  const one: Gap = { reasons: ["overflow"], since: new Date(EPOCH + clock.ms), downMs: 0, dropped: 1 };
  assertEquals(replacedGap(undefined, clock), one);
  assertEquals(replacedGap(gap(0, 5, { backfill: "filled" }), clock), one);
  assertEquals(replacedGap(gap(0, 5), clock), gap(0, 5, { reasons: ["reconnect", "overflow"], dropped: 1 }));
  assertEquals(replacedGap(one, clock), { ...one, dropped: 2 });
});

test("At a place gaps and dropped messages are one gap, and where nothing is missing there is none", () => {
  const clock = new FakeClock();
  const place = new Place();
  assertEquals(place.gap(), undefined);
  place.drop(clock);
  clock.ms += 500;
  place.drop(clock);
  assertEquals(place.gap(), { reasons: ["overflow"], since: new Date(EPOCH + 5_000), downMs: 0, dropped: 2 });
  place.add(gap(0, 7));
  place.add(gap(100, 7));
  assertEquals(place.gap(), gap(0, 14, { reasons: ["reconnect", "overflow"], dropped: 2 }));
});
