import { assertEquals } from "@std/assert";
import type { Identity } from "../../src/connection/link.ts";
import { Renewal } from "../../src/connection/renewal.ts";
import { ConnectionError, ReplyError } from "../../src/errors.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

/** A renewal, and when it did what, in milliseconds from its start. */
class Bench {
  readonly clock = new ManualClock();
  readonly told: string[] = [];
  /** What each question gives; when it is empty, credentials that never expire. */
  answers: (() => Promise<Identity>)[] = [];
  refusals: Error[] = [];
  #start = this.clock.date();
  readonly renewal: Renewal;

  constructor(lifeMs: number | undefined, answers: Bench["answers"] = []) {
    this.answers = answers;
    this.renewal = new Renewal(lifeMs === undefined ? undefined : this.#start + lifeMs, {
      clock: this.clock,
      timeoutMs: 5_000,
      credentials: () => {
        this.#tell("asked");
        return this.answers.shift()?.() ?? Promise.resolve({ password: "never" });
      },
      apply: ({ password }) => {
        this.#tell(`applied ${password}`);
        const refusal = this.refusals.shift();
        return refusal === undefined ? Promise.resolve() : Promise.reject(refusal);
      },
      failed: (error) => this.#tell(`${error.name}: ${error.message}`),
    });
  }

  /** Credentials that live so long from when they are given. */
  lasting(lifeMs: number, password = "p"): () => Promise<Identity> {
    return () => Promise.resolve({ password, expiresAt: this.clock.date() + lifeMs });
  }

  #tell(what: string): void {
    this.told.push(`${this.clock.date() - this.#start} ${what}`);
  }
}

test("credentials are renewed when four fifths of their time are over, and those that come the same", async () => {
  const bench = new Bench(100_000);
  bench.answers.push(bench.lasting(10_000, "second"), bench.lasting(1_000_000, "third"));
  await bench.clock.advance(1_000_000);
  assertEquals(bench.told, [
    "80000 asked",
    "80000 applied second",
    "88000 asked",
    "88000 applied third",
    "888000 asked",
    "888000 applied never",
  ]);
  assertEquals(bench.clock.pending, 0);
});

test("credentials that never expire are not asked for again", async () => {
  const bench = new Bench(undefined);
  await bench.clock.advance(1e9);
  assertEquals([bench.told, bench.clock.pending], [[], 0]);
});

test("however soon they expire, they are not asked for more often than once a second", async () => {
  const bench = new Bench(1);
  bench.answers.push(bench.lasting(1), bench.lasting(5), bench.lasting(1));
  await bench.clock.advance(3_500);
  bench.renewal.stop();
  assertEquals(bench.told.filter((line) => line.endsWith("asked")), ["1000 asked", "2000 asked", "3000 asked"]);
});

test("a provider that gives the same ones until shortly before they expire is asked ever closer to that", async () => {
  const bench = new Bench(100_000);
  const expiresAt = bench.clock.date() + 100_000;
  bench.answers.push(...Array.from({ length: 9 }, () => () => Promise.resolve({ password: "same", expiresAt })));
  await bench.clock.advance(200_000);
  assertEquals(bench.told.filter((line) => line.endsWith("asked")).slice(0, 4), [
    "80000 asked",
    "96000 asked",
    "99200 asked",
    "100200 asked",
  ]);
});

test("what fails is told and tried again, after a second, then after twice as long, at most after half a minute", async () => {
  const refusal = new ReplyError("WRONGPASS no", "AUTH");
  const hanging = () => new Promise<never>(() => {});
  const bench = new Bench(100_000, [() => Promise.reject(new Error("no token")), hanging]);
  bench.refusals = Array.from({ length: 6 }, () => refusal);
  await bench.clock.advance(300_000);
  assertEquals(bench.told, [
    "80000 asked",
    "80000 ConnectionError: Cannot renew the credentials: asking for them failed",
    "81000 asked",
    "86000 TimeoutError: No answer within 5000 ms: credentials",
    ...[88_000, 92_000, 100_000, 116_000, 146_000, 176_000].flatMap((at) => [
      `${at} asked`,
      `${at} applied never`,
      `${at} ReplyError: AUTH was refused: WRONGPASS no`,
    ]),
    "206000 asked",
    "206000 applied never",
  ]);
});

test("what is stopped does nothing more, and leaves no timer, also in the middle of a renewal", async () => {
  for (const ms of [10, 80_000]) {
    const bench = new Bench(100_000, [() => new Promise<never>(() => {})]);
    await bench.clock.advance(ms);
    bench.renewal.stop();
    await bench.clock.advance(1e6);
    assertEquals([bench.told, bench.clock.pending], [ms === 10 ? [] : ["80000 asked"], 0]);
  }
});

test("a date further away than timers go is waited for in stages", async () => {
  class ShortClock extends ManualClock {
    override after(ms: number, run: () => void): () => void {
      return super.after(Math.min(ms, 1_000), run);
    }
  }
  const clock = new ShortClock();
  let asked = 0;
  const renewal = new Renewal(clock.date() + 10_000, {
    clock,
    timeoutMs: 1,
    credentials: () => Promise.resolve({ password: String(++asked) }),
    apply: () => Promise.resolve(),
    failed: () => {},
  });
  await clock.advance(7_999);
  assertEquals(asked, 0);
  await clock.advance(1);
  assertEquals(asked, 1);
  renewal.stop();
});

test("an error of ours stays what it is", async () => {
  const error = new ConnectionError("gone");
  const bench = new Bench(1_000, [() => Promise.reject(error)]);
  await bench.clock.advance(1_000);
  assertEquals(bench.told.at(-1), "1000 ConnectionError: gone");
  bench.renewal.stop();
});
