import { assertEquals } from "@std/assert";
import type { Ground } from "../../bench/suite.ts";
import { takeTurns, type Turn } from "../../bench/turns.ts";
import { test } from "../support/test.ts";

/** What a suite is given, and what it told. */
class FakeGround implements Ground {
  readonly plan: Ground["plan"];
  readonly untilMs: number;
  readonly runtimes = [];
  readonly told = { missing: [] as string[], rounds: 0, failures: 0 };

  constructor(rounds: number, untilMs = Infinity) {
    this.plan = { rounds, warmUpMs: 0, measureMs: 0, overflow: [], quick: false };
    this.untilMs = untilMs;
  }

  log(): void {}
  version(): void {}
  missing = (what: string): void => void this.told.missing.push(what);
  counted = (count: number): void => void (this.told.rounds = count);
  failed = (): void => void this.told.failures++;
}

/** Turns that note in `order` whose it was. */
function turnsOf(order: string[], ...some: (Partial<Turn<string>> & { readonly name: string })[]): Turn<string>[] {
  return some.map((one) => ({
    isOurs: false,
    rounds: [],
    measure: () => Promise.resolve(one.name),
    ...one,
  })).map((turn) => ({ ...turn, measure: () => (order.push(turn.name), turn.measure()) }));
}

test("Everything takes its turn in every round, forwards and backwards by turns, or as often as it wants at most", async () => {
  const ground = new FakeGround(3);
  const order: string[] = [];
  const turns = turnsOf(order, { name: "a" }, { name: "b", most: 2 }, { name: "c" });
  await takeTurns(ground, turns);
  assertEquals(order.join(""), "abc" + "cba" + "ac");
  assertEquals(turns.map(({ rounds }) => rounds), [["a", "a", "a"], ["b", "b"], ["c", "c", "c"]]);
  assertEquals(ground.told, { missing: [], rounds: 3, failures: 0 });
});

test("When the time is up, there are five rounds all the same, or as many as a suite needs, and no more", async () => {
  for (const [asked, least, rounds] of [[7, undefined, 5], [9, 7, 7], [2, 7, 2]] as const) {
    const ground = new FakeGround(asked, -Infinity);
    const order: string[] = [];
    await takeTurns(ground, turnsOf(order, { name: "a" }), least);
    assertEquals([order.length, ground.told.rounds], [rounds, rounds]);
  }
});

for (const isOurs of [true, false]) {
  test(`Who fails is left out after the second time, and told; the program fails for ours alone: ${isOurs}`, async () => {
    const ground = new FakeGround(4);
    const order: string[] = [];
    const fail = () => Promise.reject(new Error("no"));
    const turns = turnsOf(order, { name: "bad", isOurs, measure: fail }, { name: "good" });
    await takeTurns(ground, turns);
    assertEquals(order.filter((name) => name === "bad").length, 2);
    assertEquals(turns.map(({ rounds }) => rounds), [[null, null, null, null], ["good", "good", "good", "good"]]);
    assertEquals(ground.told, {
      missing: ["bad: it failed, or was left out after that, in 4 of 4 rounds"],
      rounds: 4,
      failures: isOurs ? 2 : 0,
    });
  });
}
