/**
 * Rounds: in each of them everything takes its turn, forwards and backwards by turns, so that nobody always runs in the
 * wake of the same neighbour. Whoever fails is told and goes on missing; the others have their turns all the same.
 *
 * @module
 */

import type { Ground } from "./suite.ts";

/** Something that is measured in every round. */
export interface Turn<T> {
  /** For people. */
  readonly name: string;
  /** Ours: when it fails, so does the whole program in the end. */
  readonly isOurs: boolean;
  /** What was measured; null where that failed. */
  readonly rounds: (T | null)[];
  /** In how many rounds it takes part. @default {Infinity} */
  readonly most?: number;
  measure(): Promise<T>;
}

/** So many rounds there are in any case, late or not, where a suite does not need more: fewer are no claim. */
const LEAST_ROUNDS = 5;
/** Whoever has failed so often is measured no more: each time may have taken as long as anything is waited for. */
const MOST_FAILURES = 2;

/** Lets everybody have a turn in every round; `least` of them are made in any case, where so many are asked for. */
export async function takeTurns<T>(ground: Ground, turns: readonly Turn<T>[], least = LEAST_ROUNDS): Promise<void> {
  const { plan: { rounds }, log } = ground;
  const from = performance.now();
  let round = 1;
  for (; round <= rounds; round++) {
    const took = (performance.now() - from) / (round - 1);
    if (round > least && performance.now() + took > ground.untilMs) {
      log(`no time for more than ${round - 1} rounds`);
      break;
    }
    log(`round ${round} of ${rounds}`);
    for (const turn of round % 2 === 1 ? turns : turns.toReversed()) {
      if (round <= (turn.most ?? Infinity)) turn.rounds.push(await once(ground, turn));
    }
  }
  for (const { name, rounds } of turns) {
    const failed = rounds.filter((one) => one === null).length;
    if (failed > 0) {
      ground.missing(`${name}: it failed, or was left out after that, in ${failed} of ${rounds.length} rounds`);
    }
  }
  ground.counted(round - 1);
}

async function once<T>({ log, failed }: Ground, turn: Turn<T>): Promise<T | null> {
  if (turn.rounds.filter((one) => one === null).length >= MOST_FAILURES) return null;
  try {
    return await turn.measure();
  } catch (error) {
    log(`${turn.name} failed: ${error instanceof Error ? error.message : error}`);
    if (turn.isOurs) failed();
    return null;
  }
}
