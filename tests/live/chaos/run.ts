/**
 * Runs rounds of chaos, several at a time on one server that is itself stopped and killed now and then, and judges them.
 * The seed says all: `CHAOS_SEED` and `CHAOS_ROUNDS` of what failed repeat it.
 *
 * @module
 */

import process from "node:process";
import { deadline, delay } from "@std/async";
import { Dice } from "../../support/dice.ts";
import { type RedisServer, startServer } from "../../support/redis_server.ts";
import { judge } from "./judge.ts";
import { CHAOS_MS, planOf } from "./plan.ts";
import { type Outcome, runRound, USER } from "./world.ts";

/** How many rounds run at a time. */
const SIDE_BY_SIDE = 16;

/** Longer than a round that is given up: a lot that takes as long hangs where no round does. */
const LOT_MS = 150_000;

/** How much of what is wrong with one round is worth telling. */
const MOST_LINES = 8;

export interface ChaosOptions {
  readonly seed: number;
  /** @default {Infinity} */
  readonly rounds?: number;
  /** After so many seconds no further rounds begin. @default {Infinity} */
  readonly seconds?: number;
  /** Told after each lot of rounds. */
  readonly onProgress?: (report: Report) => void;
}

/** What has happened so far. */
export interface Report {
  readonly seed: number;
  rounds: number;
  seconds: number;
  readonly faults: Record<string, number>;
  published: number;
  delivered: number;
  dropped: number;
  lost: number;
  gaps: number;
  disconnects: number;
  slowestRecoveryMs: number;
  /** A text for each round that failed, with what repeats it. */
  readonly failures: string[];
}

/** What is wanted of the environment, where anything is. */
export function chaosSettings(): { seed: number; rounds: number | undefined; seconds: number | undefined } {
  const number = (name: string) => process.env[name] === undefined ? undefined : Number(process.env[name]);
  return {
    seed: number("CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31),
    rounds: number("CHAOS_ROUNDS"),
    seconds: number("CHAOS_SECONDS"),
  };
}

/** Runs as long as it is asked. Ends early when a lot of rounds has failed. */
export async function runChaos(options: ChaosOptions): Promise<Report> {
  const { seed, rounds = Infinity, seconds = Infinity, onProgress } = options;
  const report: Report = {
    seed,
    rounds: 0,
    seconds: 0,
    faults: {},
    published: 0,
    delivered: 0,
    dropped: 0,
    lost: 0,
    gaps: 0,
    disconnects: 0,
    slowestRecoveryMs: 0,
    failures: [],
  };
  const began = performance.now();
  await using server = await startServer({
    args: ["--user", USER.username, "on", `>${USER.password}`, "~*", "&*", "+@all"],
  });
  using lag = new Lag();
  while (report.rounds < rounds && report.seconds < seconds && report.failures.length === 0) {
    const first = report.seed + report.rounds;
    const lot = runLot(server, lag, report, Math.min(SIDE_BY_SIDE, rounds - report.rounds));
    await deadline(lot, LOT_MS).catch((error) => report.failures.push(`CHAOS_SEED=${first} hangs: ${error}`));
    report.seconds = (performance.now() - began) / 1_000;
    onProgress?.(report);
  }
  return report;
}

/** Rounds that share their time, so that the server's faults are those of all. */
async function runLot(server: RedisServer, lag: Lag, report: Report, count: number): Promise<void> {
  const first = report.seed + report.rounds;
  const ground = { port: server.port, lagMs: () => lag.mostMs };
  const unhandled: unknown[] = [];
  const hear = (reason: unknown) => void unhandled.push(reason);
  process.on("unhandledRejection", hear);
  lag.mostMs = 0;
  const running = Array.from({ length: count }, (_, index) => runRound(planOf(first + index), ground));
  const [outcomes] = await Promise.all([Promise.all(running), disturb(server, new Dice(first), report)]);
  process.off("unhandledRejection", hear);
  const wrong = outcomes.flatMap((outcome, index) =>
    add(report, outcome).map((what) => `round ${first + index}: ${what}`)
  );
  wrong.push(...unhandled.map((reason) => `unhandled rejection: ${reason}`));
  report.rounds += count;
  if (wrong.length > 0) report.failures.push(`CHAOS_SEED=${first} CHAOS_ROUNDS=${count}\n  ${wrong.join("\n  ")}`);
}

/** Stops the server, or kills it and starts it again, or leaves it alone. */
async function disturb(server: RedisServer, dice: Dice, report: Report): Promise<void> {
  const what = dice.pick(["nothing", "nothing", "SIGSTOP", "SIGKILL"]);
  await delay(dice.next() * CHAOS_MS);
  const forMs = 50 + dice.next() * 700;
  if (what === "nothing") return;
  report.faults[what] = (report.faults[what] ?? 0) + 1;
  await server.kill(what as "SIGSTOP" | "SIGKILL");
  await delay(forMs);
  if (what === "SIGSTOP") await server.kill("SIGCONT");
  else await server.restart();
}

/** Adds a round to the report, and tells what was wrong with it. */
function add(report: Report, { evidence, problems, faults, recoveryMs }: Outcome): string[] {
  const verdict = judge(evidence);
  for (const fault of faults) report.faults[fault] = (report.faults[fault] ?? 0) + 1;
  report.published += evidence.published.length;
  report.delivered += verdict.delivered;
  report.dropped += verdict.dropped;
  report.lost += verdict.lost;
  report.gaps += verdict.gaps;
  report.disconnects += evidence.events.filter(({ type }) => type === "disconnected").length;
  report.slowestRecoveryMs = Math.max(report.slowestRecoveryMs, recoveryMs);
  return [...problems, ...verdict.violations].slice(0, MOST_LINES);
}

/** The report as lines. */
export function describe(report: Report): string {
  const { seed, rounds, seconds, published, delivered, dropped, lost, gaps, disconnects, slowestRecoveryMs } = report;
  const faults = Object.entries(report.faults).toSorted().map(([what, count]) => `${count} ${what}`).join(", ");
  return [
    `CHAOS_SEED=${seed}, ${rounds} rounds in ${seconds.toFixed(0)} s`,
    `faults: ${faults}; ${disconnects} connections lost, slowest recovery ${slowestRecoveryMs.toFixed(0)} ms`,
    `${published} messages published, ${delivered} delivered; ${gaps} gaps told of ${dropped} dropped and ${lost} lost`,
  ].join("\n");
}

/** How late timers are: as late may anything be. */
class Lag implements Disposable {
  mostMs = 0;
  #timer: ReturnType<typeof setInterval>;

  constructor() {
    const everyMs = 10;
    let due = performance.now() + everyMs;
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.mostMs = Math.max(this.mostMs, now - due);
      due = now + everyMs;
    }, everyMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
